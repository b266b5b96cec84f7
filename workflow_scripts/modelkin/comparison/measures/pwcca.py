"""PWCCA: canonical correlations, weighted by how much of a representation they account for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison import canonical
from modelkin.comparison.measures.base import Estimate, Measure, centred, same_samples

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """x (n, p) -> the centred features (n, p) in float64, and an orthonormal basis (n, r) of their span."""
    wide = centred(x).double()
    return {"x": wide, "basis": canonical.basis(wide)}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Weighted mean of the canonical correlations, in the mean of both models' weights.

    A direction's weight by a model is the sum over its features of the absolute product of canonical
    variate and feature. The paper weighs by one of the two models; which stands first in a config means
    nothing, so both are taken. Raises Undefined if the two have n directions together or more. The standard
    error is to first order, with the directions and weights of all samples: near the spread over repeated
    draws where samples are ten times the directions and more, while a full jackknife is larger than that.
    """
    same_samples(a["basis"], b["basis"])
    found = canonical.correlate(a["basis"], b["basis"])
    weights = (_weights(found.first, a["x"]) + _weights(found.second, b["x"])) / 2
    return Estimate(float(found.correlations @ weights), canonical.weighted_error(found, weights))


def _weights(variates: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    size = (variates.T @ features).abs().sum(1)
    return size / size.sum()


MEASURE = Measure(
    title="PWCCA",
    definition=(
        "mean of the canonical correlations, weighted by how much of the features a direction "
        "accounts for, in the mean of both models' weights"
    ),
    unrelated=(
        "above 0, the more so the fewer samples beside directions; independent features have .35 (n = "
        "60, p = 10), no value (n = 60, p = 64), .12 (n = 500, p = 10), .31 (n = 500, p = 64)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Morcos et al. (2018), Section 2.2, in the mean of both models' weights",
    invariances=("permutation", "scale", "shift"),
)
