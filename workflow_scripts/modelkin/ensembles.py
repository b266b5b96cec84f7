"""Ensembles that average logits, and what their members' similarity says of them (hwang2024, Section 5.1)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from modelkin.clusters import matrix
from modelkin.errors import ModelkinError
from modelkin.tables import both_directions, defined

EXHAUSTIVE = 20_000
GROWN = 10  # smaller sets that larger ones are made of where there are too many
EVALUATED = ("error", "mean_member_error", "error_reduction_rate", "all_wrong")


def error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 error from 0 to 1 of logits (n, C), given labels (n,); of tied classes the first counts."""
    return float((np.argmax(logits, axis=1) != labels).mean())


def evaluate(members: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Of one ensemble: error, mean_member_error, error_reduction_rate and all_wrong.

    members: logits (n, C) of each; labels (n,). The error reduction rate is 1 - error of the
    ensemble / mean error of its members (hwang2024, Section 5.1), NaN if no member errs, below 0 if
    the ensemble is worse than its mean member. all_wrong: share of the images that every member
    gets wrong (hwang2024, Fig. 7c).
    """
    stack = np.stack(members).astype(np.float64)
    wrong = stack.argmax(2) != labels
    together, mean = error(stack.mean(0), labels), float(wrong.mean())
    return {
        "error": together,
        "mean_member_error": mean,
        "error_reduction_rate": 1 - together / mean if mean > 0 else math.nan,
        "all_wrong": float(wrong.all(0).mean()),
    }


def pairs(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """A row for every two different models: model_a, model_b, error_a, error_b and what
    :func:`evaluate` returns.
    """
    _checked(logits, labels, [2])
    alone = {name: error(values, labels) for name, values in logits.items()}
    rows = [
        {
            "model_a": a,
            "model_b": b,
            "error_a": alone[a],
            "error_b": alone[b],
            **evaluate([logits[a], logits[b]], labels),
        }
        for a, b in itertools.combinations(logits, 2)
    ]
    return pd.DataFrame(rows)


def correlations(
    outcomes: pd.DataFrame,
    similarity: pd.DataFrame,
    outcome: str = "error_reduction_rate",
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
        found = _correlated(x, y)
        found |= _intervals(x, y, joined[["model_a", "model_b"]], resamples, np.random.default_rng(seed))
        rows.append({"kind": kind, "measure": measure, **found, "n": len(x)})
    return pd.DataFrame(rows)


def _intervals(
    x: np.ndarray, y: np.ndarray, pairs: pd.DataFrame, resamples: int, rng: np.random.Generator
) -> dict[str, float]:
    """The 95 % bootstrap intervals of :func:`correlations`, over models."""
    names = ("pearson_low", "pearson_high", "spearman_low", "spearman_high")
    if len(x) < 3 or _constant(x) or _constant(y):
        return dict.fromkeys(names, math.nan)
    models, places = np.unique(pairs.to_numpy(), return_inverse=True)
    a, b = places.reshape(-1, 2).T
    counts = rng.multinomial(len(models), np.full(len(models), 1 / len(models)), resamples)
    weights = (counts[:, a] * counts[:, b]).astype(float)
    ends = []
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


def from_clusters(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    clusters: np.ndarray,
    sizes: Sequence[int],
    draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Ensembles of N models that come from k clusters, for every k up to N (hwang2024, Fig. 7 and 8).

    clusters: the cluster (M,) of each model, the same for every k. Each draw takes k of the clusters
    that together have N models, one model from each of these, and the others from anywhere in them.
    Columns members (N), clusters (k), draw, and what :func:`evaluate` returns; the k for which no
    clusters have enough models are left out.
    """
    _checked(logits, labels, sizes)
    if np.shape(clusters) != (len(logits),):
        raise ModelkinError(f"clusters of {np.size(clusters)} models do not go with logits of {len(logits)}.")
    stack = list(logits.values())
    rows = []
    for size in sizes:
        for k in range(1, size + 1):
            choices = _clusters_to_draw_from(clusters, k, size)
            for draw in range(draws if choices else 0):
                members = _one_of_each(choices[rng.integers(len(choices))], size, rng)
                found = evaluate([stack[i] for i in members], labels)
                rows.append({"members": size, "clusters": k, "draw": draw, **found})
    return pd.DataFrame(rows)


def chosen(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    similarity: pd.DataFrame,
    sizes: Sequence[int],
    draws: int,
    rng: np.random.Generator,
    directions: Mapping[str, str],
) -> pd.DataFrame:
    """The most diverse set of N models by each measure, against random sets of N (hwang2024, Table 3).

    Most diverse: the lowest mean similarity (highest mean distance) over its pairs; all sets are
    tried if there are at most 20,000, else the set grows greedily from the most diverse pair. Models for
    which a measure is undefined with others are in none of its sets, be they chosen or random; there is no
    row where too few are left. directions: 'similarity' or 'distance' by measure. Columns kind, measure,
    members (N), models (joined by commas), its error and error_reduction_rate, mean and sd of both over the
    random sets (the same ones for all measures of the same models; random_err_*: error reduction rate),
    better_than_random: share of the random sets with a higher error of the ensemble; left_out (joined by
    commas). Raises ModelkinError if a pair is missing.
    """
    _checked(logits, labels, sizes)
    squares = {}
    for (measure, kind), part in similarity.groupby(["measure", "kind"], sort=False):
        known, dropped = defined(part)
        names = tuple(name for name in logits if name not in dropped)
        closeness = matrix(known, list(names)) * (1 if directions[measure] == "similarity" else -1)
        squares[measure, kind] = names, closeness, dropped
    rows = []
    for size in sizes:
        random = {tuple(logits): _random(logits, labels, size, draws, rng)}
        for (measure, kind), (names, closeness, dropped) in squares.items():
            if len(names) < size:
                continue
            if names not in random:
                random[names] = _random({name: logits[name] for name in names}, labels, size, draws, rng)
            members = [names[i] for i in most_diverse(closeness, size)]
            found = evaluate([logits[name] for name in members], labels)
            others = random[names]
            rows.append(
                {
                    "kind": kind,
                    "measure": measure,
                    "members": size,
                    "models": ",".join(members),
                    "error": found["error"],
                    "error_reduction_rate": found["error_reduction_rate"],
                    "random_error_mean": others["error"].mean(),
                    "random_error_sd": others["error"].std(),
                    "random_err_mean": others["error_reduction_rate"].mean(),
                    "random_err_sd": others["error_reduction_rate"].std(),
                    "better_than_random": (others["error"] > found["error"]).mean(),
                    "left_out": ",".join(dropped),
                }
            )
    return pd.DataFrame(rows)


def _random(
    logits: Mapping[str, np.ndarray], labels: np.ndarray, size: int, draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """What :func:`evaluate` says of so many random sets."""
    stack = list(logits.values())
    sets = [rng.choice(len(stack), size, replace=False) for _ in range(draws)]
    return pd.DataFrame([evaluate([stack[i] for i in each], labels) for each in sets])


def best(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    sizes: Sequence[int],
    rng: np.random.Generator,
    splits: int = 200,
) -> pd.DataFrame:
    """For each size the ensemble with the lowest error, and what can be expected of choosing it so.

    All sets are tried if there are at most 20,000; else those that add a model to one of the ten best that
    are smaller. The lowest of many errors is too low by luck, so the gain is that of sets (and of single
    models) chosen on a random half of the images and looked at on the other: its mean and the range of
    95 % of the splits. Columns members, models (joined by commas), error and single (the best model alone)
    with single_error, all on all images; gain, gain_low, gain_high; chosen_again: share of the splits
    that choose the same set; n (images).
    """
    _checked(logits, labels, sizes)
    names = list(logits)
    halves = [rng.permutation(len(labels)) < len(labels) // 2 for _ in range(splits)]
    stack = list(logits.values())
    alone = np.stack([values.argmax(1) != labels for values in stack])
    sets, wrong = [(i,) for i in range(len(names))], alone
    rows = []
    for size in range(2, max(sizes) + 1):
        sets = _candidates(len(names), size, sets, wrong)
        sums = (np.sum([stack[i] for i in members], axis=0, dtype=np.float64) for members in sets)
        wrong = np.stack([values.argmax(1) != labels for values in sums])
        if size not in sizes:
            continue
        first, single = _lowest(wrong.mean(1)), _lowest(alone.mean(1))
        picked = [_lowest(wrong[:, half].mean(1)) for half in halves]
        gains = [
            alone[_lowest(alone[:, half].mean(1)), ~half].mean() - wrong[pick, ~half].mean()
            for pick, half in zip(picked, halves, strict=True)
        ]
        low, high = np.quantile(gains, [0.025, 0.975])
        rows.append(
            {
                "members": size,
                "models": ",".join(names[i] for i in sets[first]),
                "error": float(wrong[first].mean()),
                "single": names[single],
                "single_error": float(alone[single].mean()),
                "gain": float(np.mean(gains)),
                "gain_low": float(low),
                "gain_high": float(high),
                "chosen_again": float(np.mean(np.array(picked) == first)),
                "n": len(labels),
            }
        )
    return pd.DataFrame(rows)


def _candidates(models: int, size: int, smaller: list[tuple[int, ...]], wrong: np.ndarray) -> list:
    """The sets of so many models that :func:`best` tries; wrong (sets, n) of the smaller ones."""
    if math.comb(models, size) <= EXHAUSTIVE:
        return list(itertools.combinations(range(models), size))
    grown = {
        tuple(sorted((*smaller[i], model)))
        for i in np.argsort(wrong.mean(1), kind="stable")[:GROWN]
        for model in set(range(models)) - set(smaller[i])
    }
    return sorted(grown)


def most_diverse(closeness: np.ndarray, size: int) -> tuple[int, ...]:
    """The ``size`` models with the lowest mean closeness (M, M) over their pairs; the first if tied."""
    models = len(closeness)
    if math.comb(models, size) <= EXHAUSTIVE:
        sets = np.array(list(itertools.combinations(range(models), size)))
        total = sum(closeness[sets[:, i], sets[:, j]] for i, j in itertools.combinations(range(size), 2))
        return tuple(int(i) for i in sets[_lowest(total)])
    pair = np.array(list(itertools.combinations(range(models), 2)))
    members = [int(i) for i in pair[_lowest(closeness[pair[:, 0], pair[:, 1]])]]
    while len(members) < size:
        rest = [i for i in range(models) if i not in members]
        members.append(rest[_lowest(closeness[np.ix_(rest, members)].sum(1))])
    return tuple(sorted(members))


def _lowest(values: np.ndarray) -> int:
    """Where the first of the lowest values is; those equal but for rounding are tied."""
    return int(np.argmax(values <= np.min(values) + 1e-12 * np.max(np.abs(values))))


def _clusters_to_draw_from(labels: np.ndarray, k: int, size: int) -> list[tuple[np.ndarray, ...]]:
    """Every k clusters, as the places of their models, that together have ``size`` models."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return [each for each in itertools.combinations(groups, k) if sum(map(len, each)) >= size]


def _one_of_each(groups: Sequence[np.ndarray], size: int, rng: np.random.Generator) -> list[int]:
    first = [int(rng.choice(group)) for group in groups]
    rest = [int(i) for group in groups for i in group if i not in first]
    return first + [int(i) for i in rng.choice(rest, size - len(first), replace=False)]


def _correlated(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
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


def control(y: np.ndarray, z: np.ndarray) -> dict[str, float]:
    """accuracy_pearson and accuracy_pearson_p of an outcome y (n,) with accuracies z."""
    found = _correlated(z, y)
    return {"accuracy_pearson": found["pearson"], "accuracy_pearson_p": found["pearson_p"]}


def teacher(students: pd.DataFrame) -> dict[str, Any]:
    """The teacher whose students are best, as a row of :func:`modelkin.analyses.recommendations`.

    students: teacher, repeat, student_accuracy, every teacher in every repeat. The gain is that of teachers
    chosen by all repeats but one and looked at in that one; low and high are the ends over repeats.
    """
    grid = students.pivot_table(index="repeat", columns="teacher", values="student_accuracy", sort=False)
    first = grid.mean().idxmax()
    picked = [grid.drop(index=repeat).mean().idxmax() for repeat in grid.index] if len(grid) > 1 else []
    gains = [
        grid.loc[repeat, pick] - grid.loc[repeat].mean()
        for repeat, pick in zip(grid.index, picked, strict=False)
    ]
    gain = (np.mean(gains), np.min(gains), np.max(gains)) if gains else (math.nan,) * 3
    return {
        "models": first,
        "against": "mean of all teachers",
        **dict(zip(("gain", "gain_low", "gain_high"), map(float, gain), strict=True)),
        "chosen_again": float(np.mean([pick == first for pick in picked])) if picked else math.nan,
        "n": len(grid),
        "basis": "repeats of the student",
    }


def _constant(x: np.ndarray) -> bool:
    # Values equal but for rounding would correlate with their rounding.
    return bool(np.ptp(x) <= 1e-12 * np.abs(x).max())


def _checked(logits: Mapping[str, np.ndarray], labels: np.ndarray, sizes: Sequence[int]) -> None:
    """ModelkinError unless logits are finite and of the same images and classes, and sizes possible."""
    for size in sizes:
        if not 1 <= size <= len(logits):
            raise ModelkinError(
                f"an ensemble of {size} cannot be made of {len(logits)} models; choose sizes within them."
            )
    first, shape = next((name, values.shape) for name, values in logits.items())
    for name, values in logits.items():
        if values.shape != shape:
            raise ModelkinError(
                f"logits of the members differ in shape: '{first}' has {shape}, '{name}' {values.shape}; "
                "all must be of the same images and classes."
            )
        if not np.isfinite(values).all():
            raise ModelkinError(f"logits of '{name}' hold NaN or infinite values; leave the model out.")
    if shape[0] != len(labels):
        raise ModelkinError(
            f"{shape[0]} images have logits, but {len(labels)} have labels; both must be of the same images."
        )
