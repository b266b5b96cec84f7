"""Representational similarity analysis: whether two models find the same samples dissimilar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import Estimate, Measure, centred, checked, jackknife, same_samples
from modelkin.errors import ModelkinError, Undefined

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")

TIE = 1e-9  # correlations that differ by less differ by rounding, and share their rank


def prepare(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """x (n, p) -> the ranks (n, n) of all pairs' dissimilarities, less their mean, in float64.

    The dissimilarity is 1 - the correlation of two rows, over features. A row whose features are all equal
    (after a ReLU, all zero) has correlation 0 with all others. Ties share their mean rank; the diagonal is
    0 and counts nowhere. Raises ModelkinError for fewer than three samples, and Undefined if all samples
    are equally dissimilar, as they are for a single feature.
    """
    centred(x)  # refuses what is the same for all samples
    wide = checked(x, "representations").double()
    n = len(wide)
    if n < 3:
        raise ModelkinError(f"RSA needs at least three samples, not {n}.")
    wide = wide / wide.abs().amax()
    rows = wide - wide.mean(1, keepdim=True)
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    flat = length <= 1e-12 * torch.linalg.vector_norm(wide, dim=1, keepdim=True)
    unit = torch.where(flat, 0, rows / length)
    above = torch.triu_indices(n, n, 1, device=wide.device)
    dissimilar = ((1 - unit @ unit.T)[above[0], above[1]] / TIE).round()
    _, place, counts = torch.unique(dissimilar, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise Undefined("all samples are equally dissimilar, so RSA has no order to compare.")
    mean_rank = counts.cumsum(0).double() - (counts.double() - 1) / 2
    centred_ranks = mean_rank[place] - (len(place) + 1) / 2
    ranks = torch.zeros_like(wide[:, :1]).expand(n, n).contiguous()
    ranks[above[0], above[1]] = centred_ranks
    return {"ranks": ranks + ranks.T}


def permute(prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
    """The ranks after new sample i has become old sample order[i]: rows move, and so do columns."""
    return {"ranks": prepared["ranks"][order][:, order]}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Spearman's correlation of the two models' dissimilarities over all pairs of samples.

    The standard error is a jackknife over samples in which each leaves with all its pairs, and the ranks of
    the rest stay those of all. It is NaN below five samples.
    """
    first, second = a["ranks"], b["ranks"]
    n = same_samples(first, second)
    # Sums over pairs are half of those over the matrix; the factor falls out.
    products, squares = (first * second).sum(1), [(each**2).sum(1) for each in (first, second)]
    value = products.sum() / (squares[0].sum() * squares[1].sum()).sqrt()
    if n < 5:
        return Estimate(float(value), float("nan"))
    left = (n - 1) * (n - 2)  # entries without a sample and its pairs
    sums = [-2 * each.sum(1) for each in (first, second)]
    top = products.sum() - 2 * products - sums[0] * sums[1] / left
    spread = [each.sum() - 2 * each - taken**2 / left for each, taken in zip(squares, sums, strict=True)]
    defined = (spread[0] > 0) & (spread[1] > 0)
    rest = top / (spread[0] * spread[1]).clamp_min(1e-300).sqrt()
    return jackknife(value, torch.where(defined, rest, torch.nan))


MEASURE = Measure(
    title="RSA",
    definition=(
        "Spearman's correlation, over pairs of images, of 1 - the correlation of two rows of a representation"
    ),
    unrelated="0 in the mean",
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Kriegeskorte et al. (2008): 1 - correlation, then Spearman",
    bounds=(-1.0, 1.0),
    permute=permute,
    invariances=("permutation", "scale", "row_shift"),
    square=True,
)
