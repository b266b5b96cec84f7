"""Each sample's nearest neighbours by cosine, and how sure means over them are; it knows no measure.

Prepared lists are a dictionary: ``neighbours``, the k nearest of each sample, ``further``, those after
them, which become neighbours where samples are left out, and ``of_half``, which of both these are.
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
    return {"neighbours": longer[:, :k], "further": longer[:, k:], "of_half": _of_half(longer, k)}


def permute(lists: Lists, order: torch.Tensor) -> Lists:
    """The lists after new sample i has become old sample order[i]: rows move, and so do names.

    Halves are of places: what is in them is computed anew when somebody asks for the error.
    """
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return {name: place[lists[name][order]] for name in ("neighbours", "further")}


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

    score(shared, k): values of how many neighbours samples have in both lists. Those of near samples are not
    independent, for they share neighbours. Two disjoint halves of the samples, each with its own lists, are:
    half of the squared difference of their means has the variance of one half as its expectation, whatever
    connects the samples within it. Its mean over :data:`SPLITS` random splits is held against what s^2 / n
    says of these halves. At least 1, which is also that of scores that do not vary, as in halves so small
    that all others are neighbours.
    """
    (first, ours), (second, theirs) = map(_joined, (a, b))
    k, size = a["neighbours"].shape[1], len(first) // 2
    if size < 2:
        return 1.0
    both = [
        _both(*parts) for parts in zip(*(x.split(ROWS) for x in (first, second, ours, theirs)), strict=True)
    ]
    scores = score(torch.cat(both).double(), k).double()
    sides = _sides(len(first)).to(first.device)
    halves = torch.stack([sides == 0, sides == 1]).double()  # (2, n, SPLITS), and scores (n, SPLITS)
    means = (halves * scores).sum(1) / size
    spread = (halves * (scores - means[:, None]) ** 2).sum(1)
    stated = float((spread / (size - 1) / size).mean())
    apart = float(((means[0] - means[1]) ** 2 / 2).mean())
    return max(1.0, (apart / stated) ** 0.5) if stated > ROUNDING else 1.0


def _joined(lists: Lists) -> tuple[torch.Tensor, torch.Tensor]:
    """All neighbours that are known of each sample, nearest first, and those of its own half, as bits."""
    every = torch.cat([lists["neighbours"], lists["further"]], dim=1)
    found = lists.get("of_half")
    return every, _of_half(every, lists["neighbours"].shape[1]) if found is None else found


def _both(
    first: torch.Tensor, second: torch.Tensor, ours: torch.Tensor, theirs: torch.Tensor
) -> torch.Tensor:
    """How many neighbours (m, SPLITS) samples have in both lists (m, w) of their halves."""
    known, place = (first[:, :, None] == second[:, None, :]).max(2)
    bits = ours & theirs.gather(1, place) & -known.int()
    return torch.stack([((bits >> split) & 1).sum(1) for split in range(SPLITS)], dim=1)


def _sides(n: int) -> torch.Tensor:
    """On which side (n, SPLITS), 0 or 1, samples are of each random split in halves, the same for all models.

    Of an odd number one is on neither side, 2: lists of the larger half would be of more candidates.
    """
    generator = torch.Generator().manual_seed(n)
    orders = [torch.randperm(n, generator=generator) for _ in range(SPLITS)]
    return torch.stack(orders, dim=1) // max(1, n // 2)


def _of_half(every: torch.Tensor, k: int) -> torch.Tensor:
    """In which splits each neighbour of the lists (n, w) is among the k nearest on its sample's own side, as
    bits (n, w) of numbers, for there are many of both.
    """
    own = _sides(len(every)).to(every.device)
    bits = 2 ** torch.arange(SPLITS, device=every.device, dtype=torch.int32)
    found = torch.empty_like(every, dtype=torch.int32)
    seen = torch.zeros_like(own, dtype=torch.int16)
    for place in range(every.shape[1]):
        beside = own[every[:, place]] == own
        seen += beside
        found[:, place] = ((beside & (seen <= k)) * bits).sum(1)
    return found
