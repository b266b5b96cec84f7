"""How two models are related: other start, other hyper-parameters, other regime, or another architecture.

From what the config says of models to what follows for similarity and for ensembles (hwang2024, Section 4.2).
It reads no images and runs no models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from modelkin.analysis import ensembles
from modelkin.analysis.tables import both_directions, failed_sources, of_distinct

# The first of these in which two models differ is their relation; from the furthest to the nearest.
DIFFERENCES = ("structure", "regime", "hyper_parameters")
NAMES = {"structure": "architecture", "regime": "training regime", "hyper_parameters": "hyper-parameters"}
PERMUTATIONS = 999  # of the models, for the null of means over relations
NEAREST = "initialisation"
RELATIONS = (NEAREST, *(NAMES[key] for key in reversed(DIFFERENCES)))


def pair_relations(pairs: pd.DataFrame, models: pd.DataFrame) -> pd.Series:
    """The relation of model_a and model_b, one of ``RELATIONS``, for each row of pairs.

    models: name, structure (an architecture and what changes its shape), regime (what it was trained for and
    on) and hyper_parameters. Models that are the same in all three differ by their start.
    """
    known = models.set_index("name")
    found = pd.Series(NEAREST, index=pairs.index)
    for key in reversed(DIFFERENCES):
        a, b = (known.loc[pairs[side], key].to_numpy() for side in ("model_a", "model_b"))
        found[a != b] = NAMES[key]
    return found


def relation_similarities(
    similarity: pd.DataFrame, models: pd.DataFrame, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> pd.DataFrame:
    """Similarity within architectures and across them (hwang2024, Table 2).

    A row for every measure, kind, relation and structure ('all' for pairs of all structures, the only one
    across architectures): mean and sd (NaN for one) over pairs of different models, pairs, and mean_inverted
    and pairs_inverted without models whose inversion failed. Copies of other models are left out. null_mean,
    null_low, null_high: what permuted models have in place of mean, and where 95 % of that is; p: the
    two-sided share of permutations whose mean is as far from theirs, the one itself among them.
    """
    values = both_directions(of_distinct(similarity, models))
    values = values[values["model_a"] < values["model_b"]].reset_index(drop=True)
    structure = models.set_index("name")["structure"]
    values["relation"] = pair_relations(values, models)
    values["structure"] = values["model_a"].map(structure)
    across = values["relation"] == NAMES["structure"]
    rows = pd.concat([values.assign(structure="all"), values[~across]])
    keys = ["measure", "kind", "relation", "structure"]
    rows = rows.assign(inverted=rows["value"].mask(failed_sources(rows)))
    found = rows.groupby(keys, as_index=False, sort=False).agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        pairs=("value", "size"),
        mean_inverted=("inverted", "mean"),
        pairs_inverted=("inverted", "count"),
    )
    nulls = [
        _null(values.query("measure == @row.measure and kind == @row.kind"), part, permutations, seed)
        for row, (_, part) in zip(
            found.itertuples(), rows.groupby(keys, as_index=False, sort=False), strict=True
        )
    ]
    return found.join(pd.DataFrame(nulls, columns=list(NULL), index=found.index))


NULL = ("null_mean", "null_low", "null_high", "p")


def _null(every: pd.DataFrame, part: pd.DataFrame, permutations: int, seed: int) -> tuple[float, ...]:
    """The values of :data:`NULL` for the mean of some of a measure's pairs, by permuted models.

    NaN where there is nothing to permute: all values are in the mean, or all are alike.
    """
    value = every["value"].to_numpy(float)
    known = value[np.isfinite(value)]
    if len(part) == len(every) or not len(known) or np.ptp(known) == 0:
        return (math.nan,) * len(NULL)
    names, places = np.unique(every[["model_a", "model_b"]].to_numpy(str), return_inverse=True)
    a, b = places.reshape(-1, 2).T
    grid = np.full((len(names), len(names)), math.nan)
    grid[a, b] = grid[b, a] = value
    orders = np.tile(np.arange(len(names)), (permutations + 1, 1))
    orders[1:] = np.random.default_rng(seed).permuted(orders[1:], axis=1)
    of_part = (np.searchsorted(names, part[side].to_numpy(str)) for side in ("model_a", "model_b"))
    first, second = (orders[:, places] for places in of_part)
    drawn = grid[first, second]
    known = np.isfinite(drawn)
    means = np.divide(
        np.where(known, drawn, 0).sum(1),
        known.sum(1),
        out=np.full(len(drawn), math.nan),
        where=known.any(1),
    )
    middle = float(np.nanmean(means))
    apart = np.abs(means - middle).round(12)
    low, high = np.nanquantile(means, [0.025, 0.975])
    return middle, float(low), float(high), float((apart >= apart[0]).sum() / np.isfinite(apart).sum())


def relation_ensembles(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    models: pd.DataFrame,
    sizes: Sequence[int],
    draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Ensembles whose members all have one relation to each other (hwang2024, Fig. 8).

    Members of relation 'hyper-parameters' are of one structure and regime and of as many hyper-parameters as
    they are, and so for the others. At most ``draws`` different sets of each relation and size, none where
    there are too few models. Columns relation, members, draw, models (joined by commas), and what
    :func:`modelkin.analysis.ensembles.evaluate_ensemble` returns.
    """
    rows = []
    for relation in RELATIONS:
        groups = _groups(models, relation)
        for size in sizes:
            for draw, members in enumerate(_sets(groups, size, draws, rng)):
                found = ensembles.evaluate_ensemble([logits[name] for name in members], labels)
                about = {"relation": relation, "members": size, "draw": draw, "models": ",".join(members)}
                rows.append(about | found)
    columns = ("relation", "members", "draw", "models", *ensembles.EVALUATED)
    return pd.DataFrame(rows, columns=list(columns))


def _groups(models: pd.DataFrame, relation: str) -> list[list[list[str]]]:
    """Groups of models that are the same in all that is further, each as lists of models between which there
    is that relation."""
    keys = list(DIFFERENCES)
    if relation == NEAREST:
        return [[[name] for name in part["name"]] for _, part in models.groupby(keys, sort=False)]
    level = [NAMES[key] for key in keys].index(relation)
    # pandas groups by nothing only if there is a key.
    shared = models[keys[:level]].agg("\n".join, axis=1) if level else pd.Series("", index=models.index)
    return [
        [list(part["name"]) for _, part in group.groupby(keys[level], sort=False)]
        for _, group in models.groupby(shared, sort=False)
    ]


def _sets(
    groups: list[list[list[str]]], size: int, draws: int, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """At most so many different sets of so many models, each with one model of so many lists of one group."""
    able = [group for group in groups if len(group) >= size]
    found: dict[tuple[str, ...], None] = {}
    for _ in range(draws if able else 0):
        group = able[rng.integers(len(able))]
        lists = [group[i] for i in np.sort(rng.choice(len(group), size, replace=False))]
        found[tuple(names[rng.integers(len(names))] for names in lists)] = None
    return list(found)
