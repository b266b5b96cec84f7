"""Ensembles that average logits, and what their members' similarity says of them (hwang2024, Section 5.1)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from modelkin.errors import ModelkinError
from modelkin.tables import both_directions

EXHAUSTIVE = 20_000


def evaluate(members: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Of one ensemble: error, mean_member_error, error_reduction_rate and all_wrong.

    members: logits (n, C) of each; labels (n,). The error reduction rate is 1 - error of the
    ensemble / mean error of its members, NaN if no member errs. all_wrong: share of the images
    that every member gets wrong.
    """
    stack = np.stack(members).astype(np.float64)
    wrong = stack.argmax(2) != labels
    error = float((stack.mean(0).argmax(1) != labels).mean())
    mean = float(wrong.mean())
    return {
        "error": error,
        "mean_member_error": mean,
        "error_reduction_rate": 1 - error / mean if mean > 0 else math.nan,
        "all_wrong": float(wrong.all(0).mean()),
    }


def pairs(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """A row for every two different models: model_a, model_b and what :func:`evaluate` returns."""
    _checked(logits, labels, [2])
    rows = [
        {"model_a": a, "model_b": b, **evaluate([logits[a], logits[b]], labels)}
        for a, b in itertools.combinations(logits, 2)
    ]
    return pd.DataFrame(rows)


def correlations(
    outcomes: pd.DataFrame, similarity: pd.DataFrame, outcome: str = "error_reduction_rate"
) -> pd.DataFrame:
    """Pearson and Spearman correlation of an outcome of pairs with each measure on each kind of probe.

    outcomes: model_a, model_b and the outcome; similarity: the similarity table, whose two
    directions are averaged. Columns kind, measure, pearson, pearson_p, spearman, spearman_p, n
    (pairs); NaN where fewer than three pairs or no spread leave nothing to correlate. The p-values
    are two-sided and take pairs for independent, which pairs that share a model are not.
    """
    rows = []
    values = both_directions(similarity)
    for (measure, kind), part in values.groupby(["measure", "kind"], sort=False):
        joined = outcomes.merge(part, on=["model_a", "model_b"]).dropna(subset=[outcome, "value"])
        x, y = joined["value"].to_numpy(), joined[outcome].to_numpy()
        rows.append({"kind": kind, "measure": measure, **_correlated(x, y), "n": len(joined)})
    return pd.DataFrame(rows)


def from_clusters(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    clustered: Callable[[int], np.ndarray],
    sizes: Sequence[int],
    draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Ensembles of N models that come from k clusters, for every k up to N (hwang2024, Fig. 7 and 8).

    clustered(k): the cluster (M,) of each model when there are k clusters. Each draw takes one
    model from each of the k clusters and the others from anywhere. Columns members (N), clusters
    (k), draw, and what :func:`evaluate` returns; the k for which the models do not fall into k
    clusters are left out.
    """
    _checked(logits, labels, sizes)
    stack = list(logits.values())
    partitions = {k: clustered(k) for k in range(1, max(sizes) + 1)}
    rows = []
    for size in sizes:
        for k in range(1, size + 1):
            groups = [np.flatnonzero(partitions[k] == label) for label in np.unique(partitions[k])]
            for draw in range(draws if len(groups) == k else 0):
                chosen = _one_of_each(groups, size, rng)
                found = evaluate([stack[i] for i in chosen], labels)
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
    tried if there are at most 20,000, else the set grows greedily from the most diverse pair.
    better_than_random: share of the random sets with a higher error of the ensemble.
    """
    _checked(logits, labels, sizes)
    names = list(logits)
    values = both_directions(similarity)
    rows = []
    for size in sizes:
        sets = [rng.choice(len(names), size, replace=False) for _ in range(draws)]
        random = pd.DataFrame([evaluate([logits[names[i]] for i in each], labels) for each in sets])
        for (measure, kind), part in values.groupby(["measure", "kind"], sort=False):
            square = part.pivot_table(index="model_a", columns="model_b", values="value")
            closeness = square.loc[names, names].to_numpy()
            members = most_diverse(closeness if directions[measure] == "similarity" else -closeness, size)
            found = evaluate([logits[names[i]] for i in members], labels)
            rows.append(
                {
                    "kind": kind,
                    "measure": measure,
                    "members": size,
                    "models": ",".join(names[i] for i in members),
                    "error": found["error"],
                    "error_reduction_rate": found["error_reduction_rate"],
                    "random_error_mean": random["error"].mean(),
                    "random_error_sd": random["error"].std(),
                    "random_err_mean": random["error_reduction_rate"].mean(),
                    "random_err_sd": random["error_reduction_rate"].std(),
                    "better_than_random": (random["error"] > found["error"]).mean(),
                }
            )
    return pd.DataFrame(rows)


def most_diverse(closeness: np.ndarray, size: int) -> tuple[int, ...]:
    """The ``size`` models with the lowest mean closeness (M, M) over their pairs; the first if tied."""
    models = len(closeness)
    if math.comb(models, size) <= EXHAUSTIVE:
        sets = np.array(list(itertools.combinations(range(models), size)))
        total = sum(closeness[sets[:, i], sets[:, j]] for i, j in itertools.combinations(range(size), 2))
        return tuple(int(i) for i in sets[np.argmin(total)])
    pair = np.array(list(itertools.combinations(range(models), 2)))
    members = [int(i) for i in pair[np.argmin(closeness[pair[:, 0], pair[:, 1]])]]
    while len(members) < size:
        rest = [i for i in range(models) if i not in members]
        members.append(rest[int(np.argmin(closeness[np.ix_(rest, members)].sum(1)))])
    return tuple(sorted(members))


def _one_of_each(groups: list[np.ndarray], size: int, rng: np.random.Generator) -> list[int]:
    first = [int(rng.choice(group)) for group in groups]
    rest = [int(i) for group in groups for i in group if i not in first]
    return first + [int(i) for i in rng.choice(rest, size - len(first), replace=False)]


def _correlated(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return dict.fromkeys(("pearson", "pearson_p", "spearman", "spearman_p"), math.nan)
    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    return {
        "pearson": float(pearson.statistic),
        "pearson_p": float(pearson.pvalue),
        "spearman": float(spearman.statistic),
        "spearman_p": float(spearman.pvalue),
    }


def _checked(logits: Mapping[str, np.ndarray], labels: np.ndarray, sizes: Sequence[int]) -> None:
    shapes = {values.shape for values in logits.values()}
    if len(shapes) != 1:
        raise ModelkinError(f"logits of the members differ in shape: {sorted(shapes)}.")
    if next(iter(shapes))[0] != len(labels):
        raise ModelkinError(f"{next(iter(shapes))[0]} images have logits, but {len(labels)} have labels.")
    if max(sizes) > len(logits):
        raise ModelkinError(f"an ensemble of {max(sizes)} cannot be made of {len(logits)} models.")
