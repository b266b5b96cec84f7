"""How many nearest neighbours two models share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import Estimate, Measure, centred, mean_of, same_samples
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")

ROWS = 1024


def prepare(x: torch.Tensor, k: int = 10) -> dict[str, torch.Tensor]:
    """x (n, p) -> the indices (n, k) of each sample's neighbours by cosine of centred rows.

    A sample is never its own neighbour, however many duplicates it has; ties are broken as
    torch.topk does, the same way each time for the same samples in the same order; a row that is the
    mean, up to rounding, has cosine 0 with all others. Raises ModelkinError unless k is at least 1
    and there are more than k samples.
    """
    x = centred(x)
    n = len(x)
    if k < 1:
        raise ModelkinError(f"k-NN Jaccard needs k of at least 1, not {k}.")
    if k >= n:
        raise ModelkinError(f"k-NN Jaccard with k={k} needs more than {k} samples, not {n}.")
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    rounding = 10 * torch.finfo(x.dtype).eps * length.max()
    x = torch.where(length > rounding, x / length, 0)
    found = []
    for start in range(0, n, ROWS):
        cosine = x[start : start + ROWS] @ x.T
        rows = torch.arange(len(cosine), device=x.device)
        cosine[rows, rows + start] = -torch.inf
        found.append(cosine.topk(k, dim=1).indices)
    return {"neighbours": torch.cat(found)}


def permute(prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
    """The lists after new sample i has become old sample order[i]: rows move, and so do names."""
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    return {"neighbours": place[prepared["neighbours"][order]]}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean over samples of |intersection| / |union| of the two neighbour lists."""
    first, second = a["neighbours"], b["neighbours"]
    same_samples(first, second)
    if first.shape != second.shape:
        raise ModelkinError(
            f"the two models have {first.shape[1]} and {second.shape[1]} neighbours for each sample."
        )
    shared = torch.cat([_shared(*part) for part in zip(first.split(ROWS), second.split(ROWS), strict=True)])
    return mean_of(shared / (2 * first.shape[1] - shared))


def _shared(a, b):
    return (a[:, :, None] == b[:, None, :]).sum((1, 2)).double()


MEASURE = Measure(
    title="k-NN Jaccard",
    definition=(
        "|intersection| / |union| of an image's k nearest neighbours in either model, mean over "
        "images; neighbours by the cosine of centred representations (the Euclidean distance moves "
        "values by up to .09)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="revisiting, equation (6)",
    settings={"k": 10},
    permute=permute,
)
