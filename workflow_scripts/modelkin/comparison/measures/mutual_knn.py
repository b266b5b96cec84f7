"""The share of nearest neighbours that two models have in common, as the platonic representation takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin.comparison import neighbours
from modelkin.comparison.measures.base import Estimate, Measure, centred, checked, mean_of, same_samples

if TYPE_CHECKING:
    import torch


def prepare(x: torch.Tensor, k: int = 10) -> dict[str, torch.Tensor]:
    """x (n, p) -> the indices (n, k) of each sample's neighbours by cosine of the rows as they are, and those
    of further ones.

    Rows are not centred, which knn_jaccard does. Products are in float64, for rows far from the origin have
    cosines that differ in late digits. For ties, duplicates and rows of zeros see
    :func:`modelkin.comparison.neighbours.nearest`. Raises ModelkinError unless k is at least 1 and there
    are more than k samples, which are not all the same.
    """
    centred(x)  # what is the same for all samples has no neighbours
    wide = checked(x, "representations").double()
    return neighbours.prepared(wide / wide.abs().amax(), k, "mutual k-NN")


def permute(prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
    """The lists after new sample i has become old sample order[i]."""
    return neighbours.permute(prepared, order)


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean over samples of |intersection| / k of the two neighbour lists, its error by random halves."""
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
    return shared / k


MEASURE = Measure(
    title="mutual k-NN",
    definition=(
        "|intersection| / k of an image's k nearest neighbours in either model, mean over images; "
        "neighbours by the cosine of the rows as they are, not centred"
    ),
    unrelated=(
        "k / (n - 1); independent features have .17 (n = 60, p = 10), .17 (n = 60, p = 64), .02 (n = "
        "500, p = 10), .02 (n = 500, p = 64)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    value=value,
    version=2,
    source="Huh et al. (2024), Appendix A",
    settings={"k": 10},
    permute=permute,
    invariances=("permutation", "rotation", "scale"),
)
