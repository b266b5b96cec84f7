"""Whether measures order the pairs of models alike, and in which order a matrix of models is best read.

From the similarity table to tables; which measure is right it cannot say.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from modelkin.analysis import correlations, level_means, tables
from modelkin.analysis.clusters import similarity_matrix

FEWEST = 4  # models from which ranks of pairs are compared
AGREEMENT = ("kind", "measure", "other", "spearman", "spearman_low", "spearman_high", "n", "models")
SOUND = ("spearman_sound", "spearman_sound_low", "spearman_sound_high", "n_sound", "models_sound")


def measure_agreement(
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Correlate the ranks that two measures give the pairs of models.

    Parameters
    ----------
    similarity, models : DataFrame
        The tables of these names. Copies of other models are left out: their pairs with the same third model
        would count twice.
    directions : mapping of str to {"similarity", "distance"}
        By measure; a distance is turned round, so that measures that agree have 1.
    resamples : int
        Of the models, for the interval.
    seed : int

    Returns
    -------
    DataFrame
        A row for each kind and two measures with values of :data:`FEWEST` models: spearman over pairs of
        different models (mean of the two directions), its 95 % interval with models resampled, n (pairs) and
        models; and the same as spearman_sound and so on of what says something of similarity, which is
        without models at chance and without inverted images of a source whose inversion failed
        (:func:`modelkin.analysis.level_means.usable_pairs`), missing for fewer models. All measures put a
        model that knows nothing far from the others, which is agreement on nothing.
    """
    apart = similarity[similarity["model_a"] != similarity["model_b"]]
    apart = tables.of_distinct(apart, models)
    every = _agreement(apart, directions, resamples, seed)
    sound = _agreement(level_means.usable_pairs(apart, models), directions, resamples, seed)
    keys = list(AGREEMENT[:3])
    renamed = dict(zip(AGREEMENT[3:], SOUND, strict=True))
    found = every.merge(sound.rename(columns=renamed), on=keys, how="left")
    return found.fillna({"n_sound": 0, "models_sound": 0}).astype({"n_sound": int, "models_sound": int})


def _agreement(apart: pd.DataFrame, directions: Mapping[str, str], resamples: int, seed: int) -> pd.DataFrame:
    """The columns :data:`AGREEMENT` of rows of different models."""
    rows = []
    signs = apart["measure"].map(lambda name: -1.0 if directions[name] == "distance" else 1.0)
    turned = apart.assign(value=apart["value"] * signs)
    for kind, part in turned.groupby("kind", sort=False):
        names = list(dict.fromkeys(part["measure"]))
        for place, measure in enumerate(names[:-1]):
            both = tables.both_directions(part[part["measure"] == measure])
            once = both[both["model_a"] < both["model_b"]].rename(columns={"value": "outcome"})
            others = part[part["measure"].isin(names[place + 1 :])]
            count = len(set(once["model_a"]) | set(once["model_b"]))
            if count < FEWEST:
                continue
            found = correlations.with_similarity(
                once[["model_a", "model_b", "outcome"]],
                others,
                "outcome",
                resamples=resamples,
                permutations=0,  # no p is asked for
                seed=seed,
            )
            found = found.rename(columns={"measure": "other"}).assign(measure=measure, models=count)
            rows.append(found.assign(kind=kind)[list(AGREEMENT)])
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(AGREEMENT))


def dendrogram_orders(similarity: pd.DataFrame, directions: Mapping[str, str]) -> dict[tuple[str, str], list]:
    """Order the models of each matrix so that neighbours are alike.

    Parameters
    ----------
    similarity : DataFrame
        The table of that name.
    directions : mapping of str to {"similarity", "distance"}

    Returns
    -------
    dict
        By (measure, kind): the names of the models that have all values, as the leaves of an average-linkage
        tree stand if neighbours are to be as near as possible (Bar-Joseph et al., 2001). A similarity s
        counts as the distance largest - s.
    """
    found = {}
    for (measure, kind), rows in similarity.groupby(["measure", "kind"], sort=False):
        known, _ = tables.defined_square(rows)
        names = list(dict.fromkeys(known["model_a"]))
        if len(names) < 3:
            found[measure, kind] = names
            continue
        matrix = similarity_matrix(known, names)
        apart = ~np.eye(len(names), dtype=bool)
        distances = matrix if directions[measure] == "distance" else matrix[apart].max() - matrix
        distances = np.where(apart, (distances + distances.T) / 2, 0).clip(0)
        tree = hierarchy.linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
        found[measure, kind] = [names[leaf] for leaf in hierarchy.leaves_list(tree)]
    return found
