"""Linear CKA, the biased estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import (
    ROUNDING,
    Estimate,
    Measure,
    centred,
    frobenius2,
    jackknife,
    narrowed,
    quadratic,
    repeated,
    same_samples,
)

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """x (n, p) -> the centred matrix, and for each sample the quantities that its removal needs."""
    x = narrowed(centred(x))
    gram = x.T @ x
    return {"x": x, "own": quadratic(x, x, gram), "total": repeated(frobenius2(gram), x)}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """||A'B||^2 / (||A'A|| ||B'B||) with the exact delete-one jackknife.

    Without sample i the centred cross product is C - n/(n-1) a_i b_i', so all n leave-one-out
    values follow from C without recomputing it. The standard error is NaN below four samples (any
    two samples have CKA 1), and when all samples but one are the same.
    """
    n = same_samples(a["x"], b["x"])
    cross = a["x"].T @ b["x"]
    hsic = frobenius2(cross)
    value = hsic / (a["total"][0] * b["total"][0]).sqrt()
    if n < 4:
        return Estimate(float(value), float("nan"))
    norm_a, norm_b = (frobenius2(part["x"], dim=1) for part in (a, b))
    shrink = n / (n - 1)

    def without(total, inner, weight):
        return total - 2 * shrink * inner + shrink**2 * weight

    top = without(hsic, quadratic(a["x"], b["x"], cross), norm_a * norm_b)
    own_a, own_b = without(a["total"], a["own"], norm_a**2), without(b["total"], b["own"], norm_b**2)
    defined = (own_a > ROUNDING * a["total"]) & (own_b > ROUNDING * b["total"])
    return jackknife(value, torch.where(defined, top / (own_a * own_b).clamp_min(0).sqrt(), torch.nan))


MEASURE = Measure(
    title="linear CKA",
    definition=(
        "||A'B||^2 / (||A'A|| ||B'B||) of centred representations A and B (n x features), Frobenius "
        "norms: 1 is equal but for rotation and scale"
    ),
    unrelated=(
        "above 0, the more so the fewer samples beside features; independent features have .15 (n = "
        "60, p = 10), .52 (n = 60, p = 64), .02 (n = 500, p = 10), .11 (n = 500, p = 64)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=2,  # 2: representations wider than samples are rotated into their span
    source="jones2022, equation (1); revisiting, equation (4)",
    invariances=("permutation", "rotation", "scale", "shift"),
)
