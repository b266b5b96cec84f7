"""How alike the predicted distributions are, by the Jensen-Shannon divergence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import Estimate, Measure, log_probabilities, mean_of, same_outputs

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    """logits (n, C) -> log-probabilities (n, C) in float64; two samples at least."""
    return {"log_p": log_probabilities(logits)}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean of 1 - JSD over samples, with logarithms to base 2, so that 0 is disjoint and 1 is equal."""
    log_p, log_q = a["log_p"], b["log_p"]
    same_outputs(log_p, log_q)
    middle = torch.logaddexp(log_p, log_q) - math.log(2)
    divergence = (log_p.exp() * (log_p - middle) + log_q.exp() * (log_q - middle)).sum(1) / 2
    return mean_of(1 - divergence / math.log(2))


MEASURE = Measure(
    title="Jensen-Shannon similarity",
    definition=(
        "1 - JSD of the softmax of the logits with logarithms to base 2, mean over images: 0 is "
        "disjoint, 1 is equal"
    ),
    unrelated="above 0: the less sure both models are, the nearer to 1",
    takes="logits",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Lin (1991), equation (3.4); revisiting, JSDSim by its name (for its formula see symmetrised_kl)",
    invariances=("row_shift",),
)
