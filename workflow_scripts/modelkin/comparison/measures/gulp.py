"""GULP: how differently ridge regressions on two representations can predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import Estimate, Measure, centred, narrowed, same_samples

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(x: torch.Tensor, exponent: int = 2) -> dict[str, torch.Tensor]:
    """x (n, p) -> its principal components (n, r), of mean squared norm 1, and the same in ridge predictions.

    exponent: e of the regularisation lambda = 10^-e, relative to that norm.
    """
    wide = narrowed(centred(x).double())
    left, singular, _ = torch.linalg.svd(wide, full_matrices=False)
    scores = left * singular
    scores = scores * (len(wide) / (scores**2).sum()).sqrt()
    variance = (scores**2).mean(0)
    return {"scores": scores, "ridge": scores / (variance + 10.0**-exponent)}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """The distance d, whose square is tr(A S A S) + tr(B T B T) - 2 tr(A C B C').

    S and T are the covariances of the two, C the cross covariance, A and B the inverses of S and T plus
    lambda: the sum, over an orthonormal set of targets, of the mean squared difference of their ridge
    predictions from one representation and from the other. The standard error is the infinitesimal
    jackknife, which the delete-one jackknife becomes for many samples.
    """
    n = same_samples(a["scores"], b["scores"])
    x, y, z, w = a["scores"], b["scores"], a["ridge"], b["ridge"]
    mixed_a, mixed_b = z.T @ y / n, x.T @ w / n  # A C and C B
    bridge = (mixed_a * mixed_b).sum()
    (own_a, moved_a), (own_b, moved_b) = _own(a), _own(b)
    value = (own_a + own_b - 2 * bridge).clamp_min(0).sqrt()
    if value == 0:
        return Estimate(0.0, 0.0)
    # Of tr(A C B C'): how it moves with A, with B, and with C. Means are those of the scales of the two.
    by_a, by_b = ((z @ mixed_b) * (z @ (x.T @ y / n))).sum(1), ((w @ mixed_a.T) * (w @ (y.T @ x / n))).sum(1)
    by_c = ((z @ (x.T @ y / n)) * w).sum(1)
    lengths = [(each**2).sum(1) for each in (x, y)]
    moved = 2 * by_c - by_a - by_b - sum(lengths) * bridge
    moved = moved + lengths[0] * by_a.mean() + lengths[1] * by_b.mean()
    influence = moved_a + moved_b - 2 * moved
    return Estimate(float(value), float(torch.linalg.vector_norm(influence) / (2 * value)) / n)


def _own(part: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """tr(A S A S), (), and how it moves with each sample, (n,)."""
    x, z = part["scores"], part["ridge"]
    kept = (x * z).mean(0)  # A S, which is diagonal
    weights = kept * (1 - kept)
    return (kept**2).sum(), 2 * ((x * z) @ weights - (x**2).sum(1) * (kept * weights).sum())


MEASURE = Measure(
    title="GULP",
    definition=(
        "root mean square difference of ridge regressions' predictions from either representation, "
        "summed over an orthonormal set of targets; representations centred and scaled to mean "
        "squared norm 1, regularised by 10^-exponent"
    ),
    unrelated=(
        "no fixed distance: it grows with features that have a variance; independent features have "
        "3.64 (n = 60, p = 10), 2.96 (n = 60, p = 64), 4.02 (n = 500, p = 10), 6.32 (n = 500, p = 64)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Boix-Adsera et al. (2022)",
    bounds=(0.0, float("inf")),
    direction="distance",
    settings={"exponent": 2},
    setting_words={"exponent": "\N{GREEK SMALL LETTER LAMDA} = 1e-{}"},
    invariances=("permutation", "rotation", "scale", "shift"),
)
