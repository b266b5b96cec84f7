"""How many nearest neighbours two models share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin.comparison import neighbours
from modelkin.comparison.measures.base import Estimate, Measure, centred, mean_of, same_samples

if TYPE_CHECKING:
    import torch


def prepare(x: torch.Tensor, k: int = 10) -> dict[str, torch.Tensor]:
    """x (n, p) -> the indices (n, k) of each sample's neighbours by cosine of centred rows.

    For ties, duplicates and rows at the mean see :func:`modelkin.comparison.neighbours.nearest`. Raises
    ModelkinError unless k is at least 1 and there are more than k samples.
    """
    return {"neighbours": neighbours.nearest(centred(x), k, "k-NN Jaccard")}


def permute(prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
    """The lists after new sample i has become old sample order[i]."""
    return {"neighbours": neighbours.permute(prepared["neighbours"], order)}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean over samples of |intersection| / |union| of the two neighbour lists."""
    first, second = a["neighbours"], b["neighbours"]
    same_samples(first, second)
    both = neighbours.shared(first, second)
    return mean_of(both / (2 * first.shape[1] - both))


MEASURE = Measure(
    title="k-NN Jaccard",
    definition=(
        "|intersection| / |union| of an image's k nearest neighbours in either model, mean over "
        "images; neighbours by the cosine of centred representations (the Euclidean distance moves "
        "values by up to .09)"
    ),
    unrelated=(
        "about k / (2 n - k); independent features have .10 (n = 60, p = 10), .10 (n = 60, p = 64), "
        ".01 (n = 500, p = 10), .01 (n = 500, p = 64)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="revisiting, equation (6)",
    settings={"k": 10},
    permute=permute,
    invariances=("permutation", "rotation", "scale", "shift"),
)
