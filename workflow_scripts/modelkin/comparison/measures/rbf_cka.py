"""CKA with a Gaussian kernel, which sees near neighbours more than directions of large variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import (
    ROUNDING,
    Estimate,
    Measure,
    centred,
    jackknife,
    narrowed,
    same_samples,
)
from modelkin.errors import Undefined

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(x: torch.Tensor, bandwidth: int = 50) -> dict[str, torch.Tensor]:
    """x (n, p) -> the doubly centred kernel matrix (n, n) in float64.

    bandwidth: standard deviation of the kernel, in percent of the median distance of two samples. Raises
    Undefined if that median is 0, as it is if most samples are copies of others.
    """
    wide = narrowed(centred(x).double())
    n = len(wide)
    weights = (wide**2).sum(1)
    squared = (weights[:, None] + weights - 2 * wide @ wide.T).clamp_min(0)
    above = torch.triu_indices(n, n, 1, device=wide.device)
    pairs = squared[above[0], above[1]].sort().values
    median = (pairs[(len(pairs) - 1) // 2].sqrt() + pairs[len(pairs) // 2].sqrt()) / 2
    if median <= ROUNDING * pairs[-1].sqrt():
        raise Undefined(
            "the median distance of two samples is 0, so CKA with an RBF kernel has no bandwidth."
        )
    kernel = torch.exp(-squared / (2 * (bandwidth / 100 * median) ** 2))
    kernel = kernel.fill_diagonal_(1.0)
    means = kernel.mean(1)
    return {"kernel": kernel - means[:, None] - means + means.mean()}


def permute(prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
    """The kernel after new sample i has become old sample order[i]: rows move, and so do columns."""
    return {"kernel": prepared["kernel"][order][:, order]}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """<K, L> / (||K|| ||L||) of the centred kernels, the biased estimator.

    The delete-one jackknife is exact but for the bandwidth, which stays that of all samples. The standard
    error is NaN below four samples.
    """
    n = same_samples(a["kernel"], b["kernel"])
    (both, left), (first, left_a), (second, left_b) = _hsic(a, b), _hsic(a, a), _hsic(b, b)
    value = both / (first * second).sqrt()
    if n < 4:
        return Estimate(float(value), float("nan"))
    defined = (left_a > ROUNDING * first) & (left_b > ROUNDING * second)
    rest = left / (left_a * left_b).clamp_min(1e-300).sqrt()
    return jackknife(value, torch.where(defined, rest, torch.nan))


def _hsic(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The product of two centred kernels, () and without each sample (n,), centred anew.

    Rows of both sum to 0, so without sample i those of the others sum to -k_ji, and all entries to k_ii.
    """
    k, l = a["kernel"], b["kernel"]  # noqa: E741
    rest = len(k) - 1
    rows, own = (k * l).sum(1), k.diagonal() * l.diagonal()
    whole = rows.sum()
    return whole, whole - 2 * rows + own - 2 / rest * (rows - own) + own / rest**2


MEASURE = Measure(
    title="RBF CKA",
    definition=(
        "<K, L> / (||K|| ||L||) of doubly centred Gaussian kernels, whose standard deviation is "
        "bandwidth percent of the median distance of two images"
    ),
    unrelated=(
        "above 0, the more so the fewer samples beside features; independent features have .53 (n = "
        "60, p = 10), .91 (n = 60, p = 64), .12 (n = 500, p = 10), .54 (n = 500, p = 64)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Kornblith et al. (2019), Section 3",
    settings={"bandwidth": 50},
    setting_words={"bandwidth": "bandwidth {}% of the median distance"},
    permute=permute,
    invariances=("permutation", "rotation", "scale", "shift"),
    square=True,
)
