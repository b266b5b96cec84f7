"""How different the predicted distributions are, by the symmetrised Kullback-Leibler divergence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin.comparison.measures.base import Estimate, Measure, log_probabilities, mean_of, same_outputs

if TYPE_CHECKING:
    import torch


def prepare(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    """logits (n, C) -> log-probabilities (n, C) in float64; two samples at least."""
    return {"log_p": log_probabilities(logits)}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean of KL(P || Q) / 2 + KL(Q || P) / 2 over samples, in nats: 0 is equal, no upper bound."""
    log_p, log_q = a["log_p"], b["log_p"]
    same_outputs(log_p, log_q)
    return mean_of(((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(1) / 2)


MEASURE = Measure(
    title="symmetrised KL divergence",
    definition=(
        "(KL(P || Q) + KL(Q || P)) / 2 of the softmax of the logits, natural logarithms, mean over "
        "images: 0 is equal"
    ),
    unrelated="no fixed distance: the less sure both models are, the nearer to 0",
    takes="logits",
    prepare=prepare,
    compare=compare,
    version=1,
    source="revisiting, equation (2), which calls it the Jensen-Shannon divergence",
    bounds=(0.0, float("inf")),
    direction="distance",
    unit="nats",
    invariances=("row_shift",),
)
