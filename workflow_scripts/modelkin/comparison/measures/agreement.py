"""How often two models give the same answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin.comparison.measures.base import Estimate, Measure, checked, mean_of, same_outputs

if TYPE_CHECKING:
    import torch


def prepare(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    """logits (n, C), checked; two samples at least."""
    return {"logits": checked(logits, "logits")}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Share of the samples to which both models give the same top-1 class (the first if tied)."""
    same_outputs(a["logits"], b["logits"])
    return mean_of(a["logits"].argmax(1) == b["logits"].argmax(1))


MEASURE = Measure(
    title="agreement",
    definition="share of the images to which both models give the same class, the first of tied ones",
    unrelated=(
        "the sum over classes of the two models' shares of answers: 1 / classes where all are as "
        "frequent, more where some are more"
    ),
    takes="logits",
    prepare=prepare,
    compare=compare,
    version=1,
    source="revisiting, equation (3)",
    invariances=("scale", "row_shift"),
)
