"""Each sample's nearest neighbours by cosine; it knows no measure, nor what rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")

ROWS = 1024


def nearest(x: torch.Tensor, k: int, title: str) -> torch.Tensor:
    """The indices (n, k) of each sample's neighbours by the cosine of rows, x being (n, p).

    A sample is never its own neighbour, however many duplicates it has; ties are broken as torch.topk does,
    the same way each time for the same samples in the same order; a row of length 0, up to rounding, has
    cosine 0 with all others. title: how an error calls the measure. Raises ModelkinError unless k is at least
    1 and there are more than k samples.
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
        found.append(cosine.topk(k, dim=1).indices)
    return torch.cat(found)


def permute(neighbours: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The lists after new sample i has become old sample order[i]: rows move, and so do names."""
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return place[neighbours[order]]


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
