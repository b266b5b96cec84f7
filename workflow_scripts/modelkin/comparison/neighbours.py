"""Each sample's nearest neighbours by cosine, and how sure means over them are; it knows no measure.

Prepared lists are a dictionary: ``neighbours``, the k nearest of each sample, and ``further``, those after
them, which become neighbours where samples are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")

ROWS = 1024
SPLITS = 20  # of the samples into halves, for a standard error
ROUNDING = 1e-20  # a variance of scores up to 1 below it is none
Lists = dict[str, "torch.Tensor"]


def nearest(x: torch.Tensor, k: int, title: str, further: int = 0) -> torch.Tensor:
    """The indices (n, k) of each sample's neighbours by the cosine of rows, x being (n, p).

    After the k nearest stand so many further ones, as far as there are samples. A sample is never its own
    neighbour, however many duplicates it has; ties are broken as torch.topk does, the same way each time for
    the same samples in the same order; a row of length 0, up to rounding, has cosine 0 with all others.
    title: how an error calls the measure. Raises ModelkinError unless k is at least 1 and there are more than
    k samples.
    """
    n = len(x)
    if k < 1:
        raise ModelkinError(f"{title} needs k of at least 1, not {k}.")
    if k >= n:
        raise ModelkinError(f"{title} with k={k} needs more than {k} samples, not {n}.")
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    rounding = 10 * torch.finfo(x.dtype).eps * length.max()
    x = torch.where(length > rounding, x / length, 0)
    found = []
    for start in range(0, n, ROWS):
        cosine = x[start : start + ROWS] @ x.T
        rows = torch.arange(len(cosine), device=x.device)
        cosine[rows, rows + start] = -torch.inf
        found.append(cosine.topk(min(k + further, n - 1), dim=1).indices)
    return torch.cat(found)


def prepared(x: torch.Tensor, k: int, title: str) -> Lists:
    """The lists of x (n, p), long enough that nearly each sample has k of them left in half of the samples.

    Raises ModelkinError as :func:`nearest`.
    """
    longer = nearest(x, k, title, further=3 * k + 10)
    return {"neighbours": longer[:, :k], "further": longer[:, k:]}


def permute(lists: Lists, order: torch.Tensor) -> Lists:
    """The lists after new sample i has become old sample order[i]: rows move, and so do names."""
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return {name: place[rows[order]] for name, rows in lists.items()}


def shared(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """How many neighbours each sample has in both of two lists (n, k), as (n,) in float64.

    Raises ModelkinError if the lists are of different length.
    """
    if first.shape != second.shape:
        raise ModelkinError(
            f"the two models have {first.shape[1]} and {second.shape[1]} neighbours for each sample."
        )
    return torch.cat([_shared(*part) for part in zip(first.split(ROWS), second.split(ROWS), strict=True)])


def _shared(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a[:, :, None] == b[:, None, :]).sum((1, 2)).double()


def dependence(a: Lists, b: Lists, score: Callable[[torch.Tensor, int], torch.Tensor]) -> float:
    """By how much the standard error of a mean score is larger than that of independent samples.

    score(shared (n,), k): values (n,) of how many neighbours samples have in both lists. Those of near
    samples are not independent, for they share neighbours. Two disjoint halves of the samples, each with its
    own lists, are: half of the squared difference of their means has the variance of one half as its
    expectation, whatever connects the samples within it. Its mean over :data:`SPLITS` random splits is held
    against what s^2 / n says of these halves. At least 1, which is also that of scores that do not vary, as
    in halves so small that all others are neighbours.
    """
    (first, k), (second, _) = map(_joined, (a, b))
    n = len(first)
    sides = _sides(n).to(first.device)
    found = []
    for rows, others, own in zip(first.split(ROWS), second.split(ROWS), sides.split(ROWS), strict=True):
        same = rows[:, :, None] == others[:, None, :]
        known, place = same.max(2)
        ours, theirs = (_nearest_of(each, sides, own, k) for each in (rows, others))
        theirs = theirs[torch.arange(len(rows), device=rows.device)[:, None], place]
        found.append(score((ours & theirs & known[:, :, None]).sum(1).double(), k).double())
    size = n // 2
    if size < 2:
        return 1.0
    scores, halves = torch.cat(found), torch.stack([sides == 0, sides == 1]).double()  # and (2, n, SPLITS)
    means = (halves * scores).sum(1) / size
    spread = (halves * (scores - means[:, None]) ** 2).sum(1)
    stated = float((spread / (size - 1) / size).mean())
    apart = float(((means[0] - means[1]) ** 2 / 2).mean())
    return max(1.0, (apart / stated) ** 0.5) if stated > ROUNDING else 1.0


def _joined(lists: Lists) -> tuple[torch.Tensor, int]:
    """All neighbours that are known of each sample, nearest first, and k."""
    return torch.cat([lists["neighbours"], lists["further"]], dim=1), lists["neighbours"].shape[1]


def _sides(n: int) -> torch.Tensor:
    """On which side (n, SPLITS), 0 or 1, samples are of each random split in halves, the same for all models.

    Of an odd number one is on neither side, 2: lists of the larger half would be of more candidates.
    """
    generator = torch.Generator().manual_seed(n)
    orders = [torch.randperm(n, generator=generator) for _ in range(SPLITS)]
    return torch.stack(orders, dim=1) // max(1, n // 2)


def _nearest_of(rows: torch.Tensor, sides: torch.Tensor, own: torch.Tensor, k: int) -> torch.Tensor:
    """Which (m, w, SPLITS) of the neighbours (m, w) of samples are the k nearest on each one's own side."""
    found = torch.empty(*rows.shape, SPLITS, dtype=torch.bool, device=rows.device)
    seen = torch.zeros_like(own, dtype=torch.int16)
    for place in range(rows.shape[1]):
        beside = sides[rows[:, place]] == own
        seen += beside
        found[:, place] = beside & (seen <= k)
    return found
