"""The models of a study in clusters, by every measure on every kind of probe: from tables to tables.

What is done for one matrix stands in :mod:`clusters`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modelkin import lazy
from modelkin.analysis import clusters
from modelkin.analysis.tables import LOG, distinct, each_matrix, model_levels, of_distinct, under_each_other

if TYPE_CHECKING:
    from sklearn import metrics
else:
    metrics = lazy.module("sklearn.metrics")

WHICH = {"measure": "str", "kind": "str"}
STABILITY = (
    *("ari_models_mean", "ari_models_sd", "ari_null_mean", "ari_null_sd", "ari_models_p"),
    *("ari_samples_mean", "ari_samples_sd"),
)
CHANCE = 0.05
# What stands in each table of clusters, for a study in which no measure has any.
COLUMNS = {
    "clusters": {"model": "str", "cluster": "int64"}
    | dict.fromkeys(("x", "y", "t_sne_x", "t_sne_y"), "float64"),
    "cluster_stability": {"clusters": "int64"}
    | dict.fromkeys(STABILITY, "float64")
    | {"clusters_supported": "int64"}
    | dict.fromkeys(("ari_architecture", "ari_other_laplacian", "ari_level"), "float64"),
    "spectra": {"rank": "int64", "eigenvalue": "float64"},
    "spectral_features": {"model": "str", "rank": "int64", "value": "float64"},
}


def cluster_tables(
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    number: int | str,
    laplacian: str,
    repeats: int,
    share: float,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Cluster the models by every measure on every kind of probe.

    Copies of other models are no part of any matrix: with its original a copy makes a cluster that nothing
    tears apart. Each stands in the table clusters at the place of its original, and nowhere else.

    Parameters
    ----------
    similarity : DataFrame
        The similarity table.
    models : DataFrame
        Columns name, architecture, eps and norm, and same_weights_as if there may be copies, in the order of
        the study.
    directions : mapping of str to str
        "similarity" or "distance" by measure.
    number : int or "eigengap"
        Of clusters.
    laplacian : {"normalised", "unnormalised"}
    repeats : int
    share : float
        As in :func:`modelkin.analysis.clusters.stability`.
    seed : int

    Returns
    -------
    dict of DataFrame
        clusters (a row for each model), cluster_stability, spectra (a row for each eigenvalue) and
        spectral_features (a row for each distinct model and eigenvector). ari_architecture and ari_level say
        how far the clusters are those of the architectures or of the robustness levels (adjusted Rand index);
        ari_other_laplacian, how far those by the other Laplacian.
    """
    levels = model_levels(models)
    wanted = None if number == "eigengap" else int(number)
    made: dict[str, list[pd.DataFrame]] = {table: [] for table in COLUMNS}
    other = {"normalised": "unnormalised", "unnormalised": "normalised"}[laplacian]
    single = distinct(models)
    for measure, kind, rows in each_matrix(of_distinct(similarity, models)):
        here = single[single["name"].isin(rows["model_a"])]
        names = list(here["name"])
        if len(names) < max(2, wanted or 2):
            LOG.warning("%s on %s probes: too few models are left to cluster", measure, kind)
            continue
        matrix = clusters.similarity_matrix(rows, names)
        near = clusters.affinity(matrix, directions[measure])
        found = clusters.spectral(near, wanted, laplacian)
        points = clusters.t_sne(matrix, directions[measure], seed)
        which = {"measure": measure, "kind": kind}
        places = {"cluster": found.labels, "x": found.embedding[:, 0], "y": found.embedding[:, 1]}
        places |= {"t_sne_x": points[:, 0], "t_sne_y": points[:, 1]}
        placed = pd.DataFrame({**which, "model": names, **places})
        made["clusters"].append(_with_copies(placed, models))
        made["spectra"].append(
            pd.DataFrame({**which, "rank": np.arange(1, len(names) + 1), "eigenvalue": found.eigenvalues})
        )
        stable = clusters.stability(
            matrix,
            clusters.similarity_matrix(rows, names, column="stderr"),
            directions[measure],
            clusters=found.clusters,
            seed=seed,
            repeats=repeats,
            share=share,
            laplacian=laplacian,
        )
        made["spectral_features"].append(
            pd.DataFrame(found.features, index=pd.Index(names, name="model"))
            .melt(var_name="rank", value_name="value", ignore_index=False)
            .reset_index()
            .assign(**which, rank=lambda rows: rows["rank"].astype(int) + 1)
        )
        stabilities = (
            {**which, "clusters": found.clusters}
            | {key: getattr(stable, key) for key in STABILITY}
            | {
                "clusters_supported": found.clusters if stable.ari_models_p <= CHANCE else 1,
                # Missing where nobody says what a model without weights is.
                "ari_architecture": (
                    metrics.adjusted_rand_score(here["architecture"], found.labels)
                    if here["architecture"].all()
                    else math.nan
                ),
                "ari_other_laplacian": metrics.adjusted_rand_score(
                    clusters.spectral(near, found.clusters, other).labels, found.labels
                ),
                "ari_level": metrics.adjusted_rand_score([str(levels[name]) for name in names], found.labels),
            }
        )
        made["cluster_stability"].append(pd.DataFrame([stabilities]))
    return {table: under_each_other(parts, WHICH | COLUMNS[table]) for table, parts in made.items()}


def _with_copies(places: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """The places of distinct models, and for each copy those of its original, in the order of the study."""
    names = models["name"]
    originals = names if "same_weights_as" not in models else models["same_weights_as"].fillna(names)
    known = originals.isin(places["model"])
    found = places.set_index("model").loc[originals[known]].reset_index()
    return found.assign(model=names[known].to_numpy())[list(places)]
