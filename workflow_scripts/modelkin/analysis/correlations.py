"""How an outcome of pairs of models goes with their similarity, and how sure that is.

From numbers to numbers: it does not know whether the outcome is an ensemble's gain or a student's accuracy.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from modelkin.analysis.tables import both_directions


def with_similarity(
    outcomes: pd.DataFrame,
    similarity: pd.DataFrame,
    outcome: str,
    *,
    resamples: int = 1000,
    permutations: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Pearson and Spearman correlation of an outcome of pairs with each measure on each kind of probe.

    outcomes: model_a, model_b and the outcome; similarity: the similarity table, whose two
    directions are averaged. Columns kind, measure, pearson, pearson_p, spearman, spearman_p, n
    (pairs with finite values); NaN where fewer than three pairs or no spread leave nothing to
    correlate. Pairs that share a model are not independent: the p-values, two-sided, are of permuted models
    (Mantel 1967): the share of permutations whose correlation is as far from 0, the observed one among them.
    pearson_low, pearson_high, spearman_low, spearman_high: 95 % intervals, models being resampled
    (percentiles of the bootstrap); those of Spearman keep the ranks. pearson_inverted and n_inverted: without
    pairs of a model whose inversion failed.
    """
    rows = []
    values = both_directions(similarity)
    for (measure, kind), part in values.groupby(["measure", "kind"], sort=False):
        joined = outcomes.merge(part, on=["model_a", "model_b"])
        joined = joined[np.isfinite(joined[["value", outcome]].to_numpy(float)).all(1)]
        x, y = joined[["value", outcome]].to_numpy(float).T
        found = correlation(x, y)
        if not math.isnan(found["pearson"]):
            orders = np.random.default_rng(seed)
            found |= permutation_p(x, joined, outcomes, outcome, permutations, orders)
        well = ~joined["inversion_failed"].to_numpy(bool)
        found |= {"pearson_inverted": correlation(x[well], y[well])["pearson"], "n_inverted": int(well.sum())}
        found |= _intervals(x, y, joined[["model_a", "model_b"]], resamples, np.random.default_rng(seed))
        rows.append({"kind": kind, "measure": measure, **found, "n": len(x)})
    return pd.DataFrame(rows)


def correlation(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """pearson, pearson_p, spearman, spearman_p of x and y (n,); NaN below three values or without spread."""
    if len(x) < 3 or _constant(x) or _constant(y):
        return dict.fromkeys(("pearson", "pearson_p", "spearman", "spearman_p"), math.nan)
    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    return {
        "pearson": float(pearson.statistic),
        "pearson_p": float(pearson.pvalue),
        "spearman": float(spearman.statistic),
        "spearman_p": float(spearman.pvalue),
    }


def permutation_p(
    x: np.ndarray,
    pairs: pd.DataFrame,
    outcomes: pd.DataFrame,
    outcome: str,
    permutations: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """pearson_p and spearman_p of x (n,) and the outcome of pairs, by permuted models.

    pairs: model_a and model_b of each value of x, and its outcome; outcomes: of all pairs. Where model_b
    is always the same, as a student whose teachers differ, its partners are permuted.
    """
    models, places = np.unique(outcomes[["model_a", "model_b"]].to_numpy(), return_inverse=True)
    a, b = (np.searchsorted(models, pairs[side].to_numpy()) for side in ("model_a", "model_b"))
    grid = np.full((len(models), len(models)), math.nan)
    grid[tuple(places.reshape(-1, 2).T)] = outcomes[outcome]
    moving = np.arange(len(models))
    if len(set(b)) == 1:
        moving = np.unique(a)
    else:
        grid = np.where(np.isnan(grid), grid.T, grid)
    orders = np.tile(np.arange(len(models)), (permutations, 1))
    orders[:, moving] = rng.permuted(orders[:, moving], axis=1)
    y = np.vstack([pairs[outcome].to_numpy(float), grid[orders[:, a], orders[:, b]]])
    y[~np.isfinite(y)] = math.nan
    ranks = (stats.rankdata(x), stats.rankdata(y, axis=1, nan_policy="omit"))
    return {"pearson_p": _share_as_far(x, y), "spearman_p": _share_as_far(*ranks)}


def _share_as_far(x: np.ndarray, y: np.ndarray) -> float:
    """Of the correlations of x (n,) with each row of y (r, n), the share as far from 0 as the first."""
    known = np.isfinite(y)
    count = known.sum(1, keepdims=True)
    u, v = np.where(known, x, 0), np.where(known, y, 0)
    u, v = (np.where(known, each - each.sum(1, keepdims=True) / np.maximum(count, 1), 0) for each in (u, v))
    spread = np.sqrt((u**2).sum(1) * (v**2).sum(1))
    able = (count[:, 0] > 2) & (spread > 1e-12 * spread.max())
    found = np.abs((u * v).sum(1)[able] / spread[able])
    return float((found >= found[0] - 1e-9).mean())


def partial(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> dict[str, float]:
    """partial and partial_p: Pearson correlation of x and y (n,) given z, two-sided by Student's t with n - 3
    degrees of freedom; NaN below four values or without spread. A constant z controls nothing.
    """
    unknown = dict.fromkeys(("partial", "partial_p"), math.nan)
    if len(x) < 4 or _constant(x) or _constant(y):
        return unknown
    basis = np.stack([np.ones_like(z), z], axis=1)
    x, y = (values - basis @ np.linalg.lstsq(basis, values)[0] for values in (x, y))
    if min(np.abs(x).max(), np.abs(y).max()) <= 1e-12:
        return unknown
    found = float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))
    t = found * math.sqrt((len(x) - 3) / max(1e-300, 1 - found**2))
    return {"partial": found, "partial_p": float(2 * stats.t.sf(abs(t), len(x) - 3))}


def _intervals(
    x: np.ndarray, y: np.ndarray, pairs: pd.DataFrame, resamples: int, rng: np.random.Generator
) -> dict[str, float]:
    """The 95 % bootstrap intervals of :func:`with_similarity`, over models."""
    names = ("pearson_low", "pearson_high", "spearman_low", "spearman_high")
    if len(x) < 3 or _constant(x) or _constant(y):
        return dict.fromkeys(names, math.nan)
    models, places = np.unique(pairs.to_numpy(), return_inverse=True)
    a, b = places.reshape(-1, 2).T
    counts = rng.multinomial(len(models), np.full(len(models), 1 / len(models)), resamples)
    weights = (counts[:, a] * counts[:, b]).astype(float)
    ends: list[float] = []
    for u, v in ((x, y), (stats.rankdata(x), stats.rankdata(y))):
        found = _weighted_correlation(u, v, weights)
        # A resample of very few models may have nothing to correlate.
        ends += np.nanquantile(found, [0.025, 0.975]).tolist() if np.isfinite(found).any() else [math.nan] * 2
    return dict(zip(names, ends, strict=True))


def _weighted_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson correlations (r,) of x and y (n,) under weights (r, n); NaN where there is no spread."""
    x, y = x - x.mean(), y - y.mean()  # so that little is lost in the differences below
    total, *sums = (weights @ np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)).T
    total[total == 0] = math.nan
    mean_x, mean_y, xy, xx, yy = (each / total for each in sums)
    xy, xx, yy = xy - mean_x * mean_y, xx - mean_x**2, yy - mean_y**2
    xx, yy = xx.clip(0), yy.clip(0)  # rounding can pass it
    spread = np.sqrt(xx * yy)
    least = 1e-9 * np.nanmax(spread)
    found = np.divide(xy, spread, out=np.full_like(xy, math.nan), where=spread > least)
    return found.clip(-1, 1)  # rounding can pass the ends


def _constant(x: np.ndarray) -> bool:
    # Values equal but for rounding would correlate with their rounding.
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())
