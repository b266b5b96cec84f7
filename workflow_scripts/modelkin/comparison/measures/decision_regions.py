"""How much of the planes through three images two models divide alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin.comparison.measures.base import Estimate, Measure, checked, mean_of, same_samples

if TYPE_CHECKING:
    import torch


def prepare(regions: torch.Tensor) -> dict[str, torch.Tensor]:
    """regions (n, points): the class of each point of n planes."""
    return {"regions": checked(regions, "decision regions")}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean over planes of the share of points to which both models give the same class."""
    same_samples(a["regions"], b["regions"])
    return mean_of((a["regions"] == b["regions"]).double().mean(1))


MEASURE = Measure(
    title="agreement of decision regions",
    definition=(
        "share of the points of planes through three images each to which both models give the same "
        "class, mean over planes"
    ),
    unrelated=(
        "the sum over classes of the two models' shares of points: 1 / classes where all are as "
        "frequent, more where some are more"
    ),
    takes="regions",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Somepalli et al. 2022, equation (1)",
    probes=("natural",),
)
