"""Linear CKA with the unbiased estimator of HSIC, which is zero on average for unrelated models."""

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
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """x (n, p) -> the centred matrix, its squared row norms, and its HSIC with itself, whole and left out.

    Raises ModelkinError for fewer than four samples, and where the HSIC with itself is zero (as for
    samples that are all at the same distance). It is a sum of squares of the U-centred Gram matrix
    (Szekely and Rizzo 2014), so never negative but for rounding.
    """
    x = narrowed(centred(x))
    if len(x) < 4:
        raise ModelkinError(f"debiased CKA needs at least four samples, not {len(x)}.")
    part = {"x": x, "weight": frobenius2(x, dim=1)}
    whole, left_out = _hsic(part, part)
    # What HSIC is the difference of is of the size of the diagonal that was taken away.
    noise = ROUNDING * (part["weight"] ** 2).sum()
    if whole <= noise:
        raise ModelkinError(
            f"debiased CKA is not defined for these representations: the unbiased HSIC of the {len(x)} "
            "samples with themselves is zero; give more samples."
        )
    return part | {"total": repeated(whole, x), "own": torch.where(left_out > noise, left_out, torch.nan)}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """HSIC(A, B) / sqrt(HSIC(A, A) HSIC(B, B)) with the exact delete-one jackknife.

    The standard error is NaN below five samples, or when the HSIC of a model with itself is zero
    without one of them.
    """
    same_samples(a["x"], b["x"])
    whole, left_out = _hsic(a, b)
    value = whole / (a["total"][0] * b["total"][0]).sqrt()
    return jackknife(value, left_out / (a["own"] * b["own"]).sqrt())


def _hsic(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """n (n - 3) times the unbiased HSIC, () and without each sample (n,), up to one factor.

    With zero-diagonal Gram matrices K, L of centred data (row sums -k_i, -l_i, the squared row
    norms), tr KL + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2) (Song et al. 2012, equation 5)
    becomes ||A'B||^2 - n/(n-2) sum k_i l_i + sum k_i sum l_i / ((n-1)(n-2)), of p x q numbers.
    """
    x, y, k, l = a["x"], b["x"], a["weight"], b["weight"]  # noqa: E741
    n = len(x)
    cross = x.T @ y
    whole = _combine(frobenius2(cross), (k * l).sum(), k.sum() * l.sum(), n)
    if n < 5:
        return whole, torch.full_like(k, float("nan"))
    # Removing sample i moves every other row by x_i / m: its squared norm is k_j + 2 K_ij / m + k_i / m^2.
    m, both, inner = n - 1, k * l, quadratic(x, y, cross)
    squares = frobenius2(cross) - 2 * n / m * inner + (n / m) ** 2 * both
    products = (
        (both.sum() - both)
        + 2 / m * (_against(y, k) + _against(x, l) - 2 * both)
        + (l * (k.sum() - k) + k * (l.sum() - l)) / m**2
        + 4 / m**2 * (inner - both)
        - 3 * both / m**3
    )
    sums = (k.sum() - n / m * k) * (l.sum() - n / m * l)
    # n(n-3) differs from whole to left out, but by the same factor above and below the fraction.
    return whole, _combine(squares, products, sums, m)


def _combine(squares: torch.Tensor, products: torch.Tensor, sums: torch.Tensor, n: int) -> torch.Tensor:
    return squares - n / (n - 2) * products + sums / ((n - 1) * (n - 2))


def _against(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """x_i' (sum_j weights_j x_j) for each sample, (n,)."""
    x = x.double()
    return x @ (x.T @ weights)


MEASURE = Measure(
    title="debiased linear CKA",
    definition=(
        "HSIC(A, B) / sqrt(HSIC(A, A) HSIC(B, B)) of the linear kernels of centred representations, "
        "HSIC by its unbiased estimator: 0 in the mean for unrelated ones, at times below"
    ),
    unrelated="0 in the mean",
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=2,  # 2: representations wider than samples are rotated into their span
    source="Song et al. (2012), equation (5); Nguyen et al. (2021), equation (3)",
    bounds=(-1.0, 1.0),
    invariances=("permutation", "rotation", "scale", "shift"),
)
