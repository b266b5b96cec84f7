"""Canonical correlations of two orthonormal bases; it knows no measure, nor where bases are from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelkin import lazy
from modelkin.errors import Undefined

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")

RANK = 1e-6  # singular values below this share of the largest are float32 noise


class Canonical(NamedTuple):
    """Canonical correlations, falling, and the two models' canonical variates.

    Attributes
    ----------
    correlations : Tensor of shape (c,)
    first, second : Tensor of shape (n, c)
        Of mean 0 and norm 1.
    """

    correlations: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor


def basis(x: torch.Tensor, percent: int = 100) -> torch.Tensor:
    """The left singular vectors (n, r) of centred x (n, p) that hold so much of its variance.

    percent: of the variance, in the fewest directions that reach it; 100 takes all that are no rounding.
    """
    left, singular, _ = torch.linalg.svd(x.double(), full_matrices=False)
    variance = singular**2
    kept = int((singular > RANK * singular[0]).sum())
    if percent < 100:
        reached = variance.cumsum(0) >= percent / 100 * variance.sum() * (1 - 1e-12)
        kept = min(kept, int(reached.int().argmax()) + 1)
    return left[:, :kept]


def correlate(a: torch.Tensor, b: torch.Tensor) -> Canonical:
    """Canonical correlations of two bases (n, r) and (n, s).

    Raises Undefined if r + s is over n - 1: then bases of n centred samples meet in some directions whatever
    they are of, and correlations of 1 mean nothing.
    """
    left, correlations, right = torch.linalg.svd(a.T @ b, full_matrices=False)
    if a.shape[1] + b.shape[1] > len(a) - 1:
        raise Undefined(
            f"canonical correlations of {a.shape[1]} and {b.shape[1]} directions need more than "
            f"{a.shape[1] + b.shape[1]} samples, not {len(a)}."
        )
    return Canonical(correlations.clamp(0, 1), a @ left, b @ right.T)


def weighted_error(found: Canonical, weights: torch.Tensor) -> float:
    """The standard error over samples of a weighted sum of canonical correlations, to first order.

    By the influence function of a canonical correlation, u v - r (u^2 + v^2) / 2 of the variates u and v of
    variance 1 (Romanazzi 1992); directions and weights stay those of all samples. weights: (c,).
    """
    n = len(found.first)
    u, v = found.first, found.second
    influence = n * (u * v - found.correlations * (u**2 + v**2) / 2)
    return float(torch.linalg.vector_norm(influence @ weights)) / n
