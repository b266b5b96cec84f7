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
    seed: int = 0,
) -> pd.DataFrame:
    """Pearson and Spearman correlation of an outcome of pairs with each measure on each kind of probe.

    outcomes: model_a, model_b and the outcome; similarity: the similarity table, whose two
    directions are averaged. Columns kind, measure, pearson, pearson_p, spearman, spearman_p, n
    (pairs with finite values); NaN where fewer than three pairs or no spread leave nothing to
    correlate. The p-values are two-sided and take pairs for independent, which pairs that share a
    model are not. pearson_low, pearson_high, spearman_low, spearman_high: 95 % intervals that know of it, for
    it is the models that are resampled (percentiles of the bootstrap); those of Spearman keep the ranks.
    """
    rows = []
    values = both_directions(similarity)
    for (measure, kind), part in values.groupby(["measure", "kind"], sort=False):
        joined = outcomes.merge(part, on=["model_a", "model_b"])
        joined = joined[np.isfinite(joined[["value", outcome]].to_numpy(float)).all(1)]
        x, y = joined[["value", outcome]].to_numpy(float).T
        found = correlation(x, y)
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
    total = weights.sum(1, keepdims=True)
    total[total == 0] = math.nan
    x, y = (values - weights @ values[:, None] / total for values in (x, y))
    xy, xx, yy = ((weights * product).sum(1) for product in (x * y, x * x, y * y))
    spread = np.sqrt(xx * yy)
    least = 1e-9 * np.nanmax(spread)
    found = np.divide(xy, spread, out=np.full_like(xy, math.nan), where=spread > least)
    return found.clip(-1, 1)  # rounding can pass the ends


def _constant(x: np.ndarray) -> bool:
    # Values equal but for rounding would correlate with their rounding.
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())
