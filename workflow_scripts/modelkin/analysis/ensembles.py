"""Ensembles that average logits, and how to choose their members (hwang2024, Section 5.1)."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from modelkin.analysis.clusters import similarity_matrix
from modelkin.analysis.tables import defined_square
from modelkin.errors import ModelkinError

EXHAUSTIVE = 20_000
PERMUTATIONS = 199  # of the models, for what choosing brings
GROWN = 10  # smaller sets that larger ones are made of where there are too many
EVALUATED = ("error", "mean_member_error", "error_reduction_rate", "all_wrong")
DRAWN = ("members", "clusters", "draw", "models", *EVALUATED)
CHOSEN = (
    *("kind", "measure", "members", "models", "error", "error_reduction_rate"),
    *("random_error_mean", "random_error_sd", "random_err_mean", "random_err_sd"),
    *("better_than_random", "left_out"),
)
BEST = (
    *("members", "models", "error", "single", "single_error", "gain", "gain_low", "gain_high"),
    *("gain_null", "gain_p", "chosen_again", "n"),
)


def ensemble_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Take the top-1 error of logits.

    Parameters
    ----------
    logits : ndarray of shape (n, C)
    labels : ndarray of int, shape (n,)

    Returns
    -------
    float
        From 0 to 1; of tied classes the first counts.
    """
    return float((np.argmax(logits, axis=1) != labels).mean())


def evaluate_ensemble(members: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Evaluate an ensemble that averages the logits of its members.

    Parameters
    ----------
    members : sequence of ndarray of shape (n, C)
        Logits of each.
    labels : ndarray of int, shape (n,)

    Returns
    -------
    dict of float
        error; mean_member_error; error_reduction_rate, 1 - error / mean_member_error (hwang2024, Section
        5.1), NaN if no
        member errs and below 0 if the ensemble is worse than its mean member; all_wrong, the share of the
        images that
        every member gets wrong (hwang2024, Fig. 7c).
    """
    stack = np.stack(members).astype(np.float64)
    wrong = stack.argmax(2) != labels
    together, mean = ensemble_error(stack.mean(0), labels), float(wrong.mean())
    return {
        "error": together,
        "mean_member_error": mean,
        "error_reduction_rate": 1 - together / mean if mean > 0 else math.nan,
        "all_wrong": float(wrong.all(0).mean()),
    }


def pair_ensembles(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """Evaluate the ensemble of every two different models.

    Parameters
    ----------
    logits : mapping of str to ndarray of shape (n, C)
        Of the members by their models' names, on the same images.
    labels : ndarray of int, shape (n,)

    Returns
    -------
    DataFrame
        Columns model_a, model_b, error_a, error_b, and those of :func:`evaluate_ensemble`.

    Raises
    ------
    ModelkinError
        If logits are not finite, or differ in images or classes.
    """
    _checked(logits, labels, [2])
    alone = {name: ensemble_error(values, labels) for name, values in logits.items()}
    rows = [
        {
            "model_a": a,
            "model_b": b,
            "error_a": alone[a],
            "error_b": alone[b],
            **evaluate_ensemble([logits[a], logits[b]], labels),
        }
        for a, b in itertools.combinations(logits, 2)
    ]
    return pd.DataFrame(rows)


def cluster_ensembles(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    clusters: np.ndarray,
    sizes: Sequence[int],
    draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Evaluate random ensembles of N models from k clusters, for every k up to N (hwang2024, Fig. 7 and 8).

    Each draw takes k of the clusters that together have N models, one model from each of these, and the
    others
    from anywhere in them.

    Parameters
    ----------
    logits : mapping of str to ndarray of shape (n, C)
        Of the members by their models' names, on the same images.
    labels : ndarray of int, shape (n,)
    clusters : ndarray of int, shape (M,)
        The cluster of each model, the same for every k.
    sizes : sequence of int
        Every N.
    draws : int
        For each N and k.
    rng : Generator

    Returns
    -------
    DataFrame
        Columns members (N), clusters (k), draw, models (in the order of ``logits``, joined by commas), and
        those of :func:`evaluate_ensemble`. A k for which no clusters have enough models is left out.

    Raises
    ------
    ModelkinError
        If sizes are impossible, or logits and clusters are of different models, images or classes.
    """
    _checked(logits, labels, sizes)
    if np.shape(clusters) != (len(logits),):
        raise ModelkinError(f"clusters of {np.size(clusters)} models do not go with logits of {len(logits)}.")
    names, stack = list(logits), list(logits.values())
    rows = []
    for size in sizes:
        for k in range(1, size + 1):
            choices = _clusters_to_draw_from(clusters, k, size)
            for draw in range(draws if choices else 0):
                members = _one_of_each(choices[rng.integers(len(choices))], size, rng)
                found = evaluate_ensemble([stack[i] for i in members], labels)
                about = {"members": size, "clusters": k, "draw": draw}
                rows.append(about | {"models": ",".join(names[i] for i in sorted(members))} | found)
    return pd.DataFrame(rows, columns=list(DRAWN))


def chosen_ensembles(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    similarity: pd.DataFrame,
    sizes: Sequence[int],
    draws: int,
    rng: np.random.Generator,
    directions: Mapping[str, str],
) -> pd.DataFrame:
    """Compare the most diverse ensemble of N models by each measure with random ones (hwang2024, Table 3).

    The most diverse has the lowest mean similarity (highest mean distance) over its pairs. All sets are tried
    if there are
    at most 20,000, else the set grows greedily from the most diverse pair. Models for which a measure is
    undefined with
    others are in none of its sets, chosen or random; there is no row where too few are left.

    Parameters
    ----------
    logits : mapping of str to ndarray of shape (n, C)
        Of the members by their models' names, on the same images.
    labels : ndarray of int, shape (n,)
    similarity : DataFrame
        The similarity table.
    sizes : sequence of int
        Every N.
    draws : int
        Random sets for each N, the same ones for all measures of the same models.
    rng : Generator
    directions : mapping of str to str
        "similarity" or "distance" by measure.

    Returns
    -------
    DataFrame
        Columns kind, measure, members (N), models (joined by commas), error, error_reduction_rate, mean and
        sd of both over
        the random sets (random_error_*, random_err_*), better_than_random (share of the random sets with a
        higher error),
        left_out (joined by commas).

    Raises
    ------
    ModelkinError
        If a pair is missing from the table, or logits do not fit together.
    """
    _checked(logits, labels, sizes)
    squares = {}
    for (measure, kind), part in similarity.groupby(["measure", "kind"], sort=False):
        known, dropped = defined_square(part)
        names = tuple(name for name in logits if name not in dropped)
        closeness = similarity_matrix(known, list(names)) * (1 if directions[measure] == "similarity" else -1)
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
            found = evaluate_ensemble([logits[name] for name in members], labels)
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
    return pd.DataFrame(rows, columns=list(CHOSEN))


def _random(
    logits: Mapping[str, np.ndarray], labels: np.ndarray, size: int, draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """What :func:`evaluate_ensemble` says of so many random sets."""
    stack = list(logits.values())
    sets = [rng.choice(len(stack), size, replace=False) for _ in range(draws)]
    return pd.DataFrame([evaluate_ensemble([stack[i] for i in each], labels) for each in sets])


def best_ensembles(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    sizes: Sequence[int],
    rng: np.random.Generator,
    splits: int = 200,
) -> pd.DataFrame:
    """Find the ensemble with the lowest error of each size, and what to expect of choosing it so.

    The lowest of many errors is too low by luck, so the gain is that of sets (and of single models) chosen on
    a random half of the images and looked at on the other. All sets are tried if there are at most 20,000;
    else those that add a model to one of the ten best that are smaller.

    Parameters
    ----------
    logits : mapping of str to ndarray of shape (n, C)
        Of the members by their models' names, on the same images.
    labels : ndarray of int, shape (n,)
    sizes : sequence of int
    rng : Generator
    splits : int
        Random halves.

    Returns
    -------
    DataFrame
        Columns members, models (joined by commas) and error; single (the best model alone) and single_error;
        gain (mean over splits) with the range of 95 % of them, gain_low and gain_high; gain_null, what sets
        of permuted models gain over the same single ones in the mean, and gain_p, the share of permutations
        that gain as much, the one itself among them; chosen_again, the share of the splits that choose the
        same set; n (images).

    Raises
    ------
    ModelkinError
        If sizes are impossible, or logits do not fit together.
    """
    _checked(logits, labels, sizes)
    names = list(logits)
    halves = [rng.permutation(len(labels)) < len(labels) // 2 for _ in range(splits)]
    stack = list(logits.values())
    alone = np.stack([values.argmax(1) != labels for values in stack])
    others = 1.0 - np.stack(halves, axis=1)
    orders = [rng.permutation(len(names)) for rng in rng.spawn(1) for _ in range(PERMUTATIONS)]

    @functools.cache
    def errors_elsewhere(members: tuple[int, ...]) -> np.ndarray:
        # of a set, on the other half of each split
        total = np.sum([stack[i] for i in members], axis=0, dtype=np.float64)
        return (total.argmax(1) != labels) @ others / others.sum(0)

    def gains_of(chosen: Sequence[Iterable[int]], singles: np.ndarray) -> np.ndarray:
        # by the set that each split chooses, on its other half
        found = [errors_elsewhere(tuple(sorted(map(int, members)))) for members in chosen]
        return singles - np.array([errors[split] for split, errors in enumerate(found)])

    sets: list[tuple[int, ...]] = [(i,) for i in range(len(names))]
    wrong = alone
    rows = []
    for size in range(2, max(sizes, default=1) + 1):
        sets = _candidates(len(names), size, sets, wrong)
        sums = (np.sum([stack[i] for i in members], axis=0, dtype=np.float64) for members in sets)
        wrong = np.stack([values.argmax(1) != labels for values in sums])
        if size not in sizes:
            continue
        first, single = _lowest(wrong.mean(1)), _lowest(alone.mean(1))
        picked = [_lowest(wrong[:, half].mean(1)) for half in halves]
        singles = np.array([alone[_lowest(alone[:, half].mean(1)), ~half].mean() for half in halves])

        chosen = [sets[pick] for pick in picked]
        gains = gains_of(chosen, singles)
        arbitrary = np.array(
            [gains_of([order[list(members)] for members in chosen], singles).mean() for order in orders]
        )
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
                "gain_null": float(arbitrary.mean()),
                "gain_p": float((1 + (arbitrary >= np.mean(gains) - 1e-12).sum()) / (1 + len(arbitrary))),
                "chosen_again": float(np.mean(np.array(picked) == first)),
                "n": len(labels),
            }
        )
    return pd.DataFrame(rows, columns=list(BEST))


def _candidates(models: int, size: int, smaller: list[tuple[int, ...]], wrong: np.ndarray) -> list:
    """The sets of so many models that :func:`best_ensembles` tries; wrong (sets, n) of the smaller ones."""
    if math.comb(models, size) <= EXHAUSTIVE:
        return list(itertools.combinations(range(models), size))
    grown = {
        tuple(sorted((*smaller[i], model)))
        for i in np.argsort(wrong.mean(1), kind="stable")[:GROWN]
        for model in set(range(models)) - set(smaller[i])
    }
    return sorted(grown)


def most_diverse(closeness: np.ndarray, size: int) -> tuple[int, ...]:
    """Choose the models with the lowest mean closeness over their pairs.

    Parameters
    ----------
    closeness : ndarray of shape (M, M)
        Symmetric; higher is more alike.
    size : int
        How many.

    Returns
    -------
    tuple of int
        Their places; the first such set if several are tied.
    """
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
