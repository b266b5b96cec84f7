"""How many nearest neighbours two models share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin.comparison import neighbours
from modelkin.comparison.measures.base import Estimate, Measure, centred, mean_of, same_samples

if TYPE_CHECKING:
    import torch


def prepare(x: torch.Tensor, k: int = 10) -> dict[str, torch.Tensor]:
    """x (n, p) -> the indices (n, k) of each sample's neighbours by cosine of centred rows, and those of
    further ones.

    For ties, duplicates and rows at the mean see :func:`modelkin.comparison.neighbours.nearest`. Raises
    ModelkinError unless k is at least 1 and there are more than k samples.
    """
    return neighbours.prepared(centred(x), k, "k-NN Jaccard")


def permute(prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
    """The lists after new sample i has become old sample order[i]."""
    return neighbours.permute(prepared, order)


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean over samples of |intersection| / |union| of the two lists, its error by random halves."""
    mean, stderr, _ = mean_of(_shares(a, b))
    return Estimate(mean, stderr * neighbours.dependence(a, b, _share))


def value(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """The value of :func:`compare`, in a tenth of its time."""
    return mean_of(_shares(a, b)).value


def _shares(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> torch.Tensor:
    first, second = a["neighbours"], b["neighbours"]
    same_samples(first, second)
    return _share(neighbours.shared(first, second), first.shape[1])


def _share(shared: torch.Tensor, k: int) -> torch.Tensor:
    return shared / (2 * k - shared)


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
    value=value,
    version=2,
    source="revisiting, equation (6)",
    settings={"k": 10},
    permute=permute,
    invariances=("permutation", "rotation", "scale", "shift"),
)
