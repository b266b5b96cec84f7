"""The analyses of a whole study: clusters, ensembles and distillation, from tables to tables.

What is done for one matrix or one ensemble stands in :mod:`clusters` and :mod:`ensembles`; here it
is done for every measure on every kind of probe.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from modelkin import clusters as spectral
from modelkin import ensembles as ensemble

LOG = logging.getLogger("modelkin")


def each_matrix(similarity: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(measure, kind, rows) of every part of the similarity table that is a square of models.

    Models for which a measure is undefined with others are left out of its squares, with a warning.
    """
    for (measure, kind), rows in similarity.groupby(["measure", "kind"], sort=False):
        known, dropped = defined(rows)
        if dropped:
            LOG.warning("%s on %s probes: undefined for %s, left out", measure, kind, ", ".join(dropped))
        yield measure, kind, known


def defined(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of one measure on one kind of probe without NaN, and the models left out for it: each time
    the one with the most undefined pairs.
    """
    dropped = []
    while rows["value"].isna().any():
        unknown = rows[rows["value"].isna()]
        counts = pd.concat([unknown["model_a"], unknown["model_b"]]).value_counts(sort=True)
        dropped.append(counts.index[0])
        rows = rows[(rows["model_a"] != dropped[-1]) & (rows["model_b"] != dropped[-1])]
    return rows, dropped


def clusters(
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    number: int | str,
    repeats: int,
    share: float,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Tables clusters (a row per model), cluster_stability and spectra (a row per eigenvalue).

    number: of clusters, or 'eigengap'. ari_architecture and ari_level say how far the clusters are
    those of the architectures or of the robustness levels (adjusted Rand index).
    """
    wanted = None if number == "eigengap" else number
    made: dict[str, list] = {"clusters": [], "cluster_stability": [], "spectra": []}
    for measure, kind, rows in each_matrix(similarity):
        here = models[models["name"].isin(rows["model_a"])]
        names = list(here["name"])
        if len(names) < max(2, wanted or 2):
            LOG.warning("%s on %s probes: too few models are left to cluster", measure, kind)
            continue
        matrix = spectral.matrix(rows, names)
        found = spectral.spectral(spectral.affinity(matrix, directions[measure]), wanted, seed=seed)
        which = {"measure": measure, "kind": kind}
        places = {"cluster": found.labels, "x": found.embedding[:, 0], "y": found.embedding[:, 1]}
        made["clusters"].append(pd.DataFrame({**which, "model": names, **places}))
        made["spectra"].append(
            pd.DataFrame({**which, "rank": np.arange(1, len(names) + 1), "eigenvalue": found.eigenvalues})
        )
        stable = spectral.stability(
            matrix,
            spectral.matrix(rows, names, column="stderr"),
            directions[measure],
            clusters=found.clusters,
            seed=seed,
            repeats=repeats,
            share=share,
        )
        kept = ("ari_models_mean", "ari_models_sd", "ari_samples_mean", "ari_samples_sd")
        made["cluster_stability"].append(
            {**which, "clusters": found.clusters}
            | {key: getattr(stable, key) for key in kept}
            | {
                "ari_architecture": adjusted_rand_score(here["architecture"], found.labels),
                "ari_level": adjusted_rand_score(here["eps"].astype(str), found.labels),
            }
        )
    return {
        "clusters": pd.concat(made["clusters"], ignore_index=True),
        "cluster_stability": pd.DataFrame(made["cluster_stability"]),
        "spectra": pd.concat(made["spectra"], ignore_index=True),
    }


def ensembles(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    similarity: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    sizes: Sequence[int],
    draws: int,
    clusters_by: Mapping[str, str],
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """Tables ensemble_pairs, ensemble_correlations, ensemble_clusters and ensemble_choices.

    logits: (n, C) of each model, in the order of the study; labels (n,). Sizes that the study is
    too small for are left out. clusters_by: the measure and kind by which models are clustered, into
    as many clusters as the largest ensemble has members.
    """
    names = list(logits)
    sizes = [size for size in sizes if size <= len(names)]
    pairs = ensemble.pairs(logits, labels)
    rows = similarity[
        (similarity["measure"] == clusters_by["measure"]) & (similarity["kind"] == clusters_by["kind"])
    ]
    near = spectral.affinity(spectral.matrix(rows, names), directions[clusters_by["measure"]])
    groups = spectral.spectral(near, max(sizes), seed=int(rng.integers(2**31))).labels
    # A set that may hold any of the models must know them all.
    whole = similarity.groupby(["measure", "kind"])["value"].transform(lambda values: values.notna().all())
    return {
        "ensemble_pairs": pairs,
        "ensemble_correlations": ensemble.correlations(pairs, similarity),
        "ensemble_clusters": ensemble.from_clusters(logits, labels, groups, sizes, draws, rng),
        "ensemble_choices": ensemble.chosen(logits, labels, similarity[whole], sizes, draws, rng, directions),
    }


def distillation(
    students: pd.DataFrame, similarity: pd.DataFrame, models: pd.DataFrame, *, student: str
) -> dict[str, pd.DataFrame]:
    """Tables distillation (a row per teacher) and distillation_correlations (per measure and kind).

    students: a row per teacher and repeat. model_a is the teacher, model_b the study's own model of
    the student's architecture and recipe, with which similarity is measured.
    """
    accuracy = models.set_index("name")["clean_accuracy"]
    found = students.groupby("teacher", as_index=False, sort=False).agg(
        student_accuracy=("student_accuracy", "mean"),
        student_accuracy_sd=("student_accuracy", "std"),
        teacher_agreement=("teacher_agreement", "mean"),
        repeats=("repeat", "size"),
    )
    found.insert(0, "model_b", student)
    found = found.rename(columns={"teacher": "model_a"}).assign(
        teacher_accuracy=lambda rows: rows["model_a"].map(accuracy)
    )
    correlations = ensemble.correlations(found, similarity, outcome="student_accuracy")
    return {"distillation": found, "distillation_correlations": correlations}
