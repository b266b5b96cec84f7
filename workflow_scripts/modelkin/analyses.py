"""The analyses of a whole study: clusters, ensembles and distillation, from tables to tables.

What is done for one matrix or one ensemble stands in :mod:`clusters` and :mod:`ensembles`; here it
is done for every measure on every kind of probe.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from modelkin import clusters as spectral
from modelkin import components as made_of
from modelkin import correlations, relations, tables
from modelkin import ensembles as ensemble
from modelkin.errors import ModelkinError

LOG = logging.getLogger("modelkin")


def each_matrix(similarity: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(measure, kind, rows) of every part of the similarity table that is a square of models.

    Models for which a measure is undefined with others are left out of its squares, with a warning.
    """
    for (measure, kind), rows in similarity.groupby(["measure", "kind"], sort=False):
        known, dropped = tables.defined(rows)
        if dropped:
            LOG.warning("%s on %s probes: undefined for %s, left out", measure, kind, ", ".join(dropped))
        yield measure, kind, known


def clusters(
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
    """Tables clusters (a row per model), cluster_stability, spectra (a row per eigenvalue) and
    spectral_features (a row per model and eigenvector that k-means saw).

    number: of clusters, or 'eigengap'. ari_architecture and ari_level say how far the clusters are
    those of the architectures or of the robustness levels (adjusted Rand index); ari_other_laplacian,
    how far those by the other Laplacian.
    """
    wanted = None if number == "eigengap" else number
    names_of_tables = ("clusters", "cluster_stability", "spectra", "spectral_features")
    made: dict[str, list] = {table: [] for table in names_of_tables}
    other = {"normalised": "unnormalised", "unnormalised": "normalised"}[laplacian]
    for measure, kind, rows in each_matrix(similarity):
        here = models[models["name"].isin(rows["model_a"])]
        names = list(here["name"])
        if len(names) < max(2, wanted or 2):
            LOG.warning("%s on %s probes: too few models are left to cluster", measure, kind)
            continue
        matrix = spectral.matrix(rows, names)
        near = spectral.affinity(matrix, directions[measure])
        found = spectral.spectral(near, wanted, seed, laplacian)
        points = spectral.t_sne(matrix, directions[measure], seed)
        which = {"measure": measure, "kind": kind}
        places = {"cluster": found.labels, "x": found.embedding[:, 0], "y": found.embedding[:, 1]}
        places |= {"t_sne_x": points[:, 0], "t_sne_y": points[:, 1]}
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
            laplacian=laplacian,
        )
        made["spectral_features"].append(
            pd.DataFrame(found.features, index=pd.Index(names, name="model"))
            .melt(var_name="rank", value_name="value", ignore_index=False)
            .reset_index()
            .assign(**which, rank=lambda rows: rows["rank"].astype(int) + 1)
        )
        kept = ("ari_models_mean", "ari_models_sd", "ari_samples_mean", "ari_samples_sd")
        made["cluster_stability"].append(
            {**which, "clusters": found.clusters}
            | {key: getattr(stable, key) for key in kept}
            | {
                "ari_architecture": adjusted_rand_score(here["architecture"], found.labels),
                "ari_other_laplacian": adjusted_rand_score(
                    spectral.spectral(near, found.clusters, seed, other).labels, found.labels
                ),
                "ari_level": adjusted_rand_score(here["eps"].astype(str), found.labels),
            }
        )
    return {
        "clusters": pd.concat(made["clusters"], ignore_index=True),
        "cluster_stability": pd.DataFrame(made["cluster_stability"]),
        "spectra": pd.concat(made["spectra"], ignore_index=True),
        "spectral_features": pd.concat(made["spectral_features"], ignore_index=True),
    }


def components(
    table: pd.DataFrame, similarity: pd.DataFrame, clusters: pd.DataFrame, *, seed: int
) -> dict[str, pd.DataFrame]:
    """Tables component_importance, component_scores and component_keywords, per measure and kind.

    table: the components of every model in order; clusters: the table of that name.
    """
    values = tables.both_directions(similarity)
    values = values[values["model_a"] < values["model_b"]].dropna(subset="value")
    importances, scores, keywords = [], [], []
    for measure, kind, pairs in each_matrix(values):
        which = {"measure": measure, "kind": kind}
        found, score = made_of.importance(table, pairs, seed=seed)
        importances.append(found.assign(**which))
        scores.append({**which, **score})
        here = clusters.query("measure == @measure and kind == @kind").set_index("model")
        clustered = table[table["model"].isin(here.index)]
        labels = here.loc[clustered["model"], "cluster"].to_numpy()
        keywords.append(made_of.keywords(clustered, labels).assign(**which))
    return {
        "component_importance": pd.concat(importances, ignore_index=True),
        "component_scores": pd.DataFrame(scores),
        "component_keywords": pd.concat(keywords, ignore_index=True),
    }


def ensembles(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    sizes: Sequence[int],
    draws: int,
    clusters_by: Mapping[str, str],
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """Tables ensemble_pairs, ensemble_correlations, ensemble_clusters, ensemble_choices, ensemble_relations
    and ensemble_best.

    logits: (n, C) of each model, in the order of the study; labels (n,). Sizes that the study is
    too small for are left out. clusters_by: the measure and kind by which models are clustered, into
    as many clusters as the largest ensemble has members; those for which it is undefined are in no cluster,
    so ensembles from clusters can be fewer.
    """
    names = list(logits)
    sizes = [size for size in sizes if size <= len(names)]
    pairs = ensemble.pairs(logits, labels)
    rows = similarity[
        (similarity["measure"] == clusters_by["measure"]) & (similarity["kind"] == clusters_by["kind"])
    ]
    rows, dropped = tables.defined(rows)
    clustered = {name: values for name, values in logits.items() if name not in dropped}
    able = [size for size in sizes if size <= len(clustered)]
    if not able:
        raise ModelkinError(
            f"{clusters_by['measure']} on {clusters_by['kind']} probes is undefined for "
            f"{', '.join(dropped)}: too few models are left to cluster for ensembles of {min(sizes)}; choose "
            "another measure or smaller sizes (ensembles: clusters_by, sizes)."
        )
    near = spectral.affinity(spectral.matrix(rows, list(clustered)), directions[clusters_by["measure"]])
    groups = spectral.spectral(near, max(able), seed=int(rng.integers(2**31))).labels
    return {
        "ensemble_pairs": pairs,
        "ensemble_correlations": correlations.with_similarity(
            pairs, similarity, "error_reduction_rate", seed=int(rng.integers(2**31))
        ),
        "ensemble_clusters": ensemble.from_clusters(clustered, labels, groups, able, draws, rng),
        "ensemble_choices": ensemble.chosen(logits, labels, similarity, sizes, draws, rng, directions),
        "ensemble_relations": relations.ensembles_within(logits, labels, models, sizes, draws, rng),
        "ensemble_best": ensemble.best(logits, labels, [size for size in (2, 3) if size <= len(names)], rng),
    }


def distillation(
    students: pd.DataFrame,
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    components: pd.DataFrame,
    *,
    student: str,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Tables distillation (a row per teacher) and distillation_correlations (per measure, kind and teachers).

    students: a row per teacher and repeat. model_a is the teacher, model_b the study's own model of
    the student's architecture and recipe, with which similarity is measured. teachers: all, those of the
    student's base_family, or the others (hwang2024, Fig. 11). partial: Pearson correlation given the
    teacher's accuracy; accuracy_pearson: of the student's accuracy with the teacher's.
    """
    accuracy = models.set_index("name")["clean_accuracy"]
    family = components.set_index("model").get("base_family", models.set_index("name")["architecture"])
    found = students.groupby("teacher", as_index=False, sort=False).agg(
        student_accuracy=("student_accuracy", "mean"),
        student_accuracy_sd=("student_accuracy", "std"),
        teacher_agreement=("teacher_agreement", "mean"),
        repeats=("repeat", "size"),
    )
    found.insert(0, "model_b", student)
    found = found.rename(columns={"teacher": "model_a"}).assign(
        teacher_accuracy=lambda rows: rows["model_a"].map(accuracy),
        same_family=lambda rows: rows["model_a"].map(family) == family[student],
    )
    groups = {
        "all": found,
        "same family": found.query("same_family"),
        "others": found.query("not same_family"),
    }
    found_by_group = [
        correlations.with_similarity(part, similarity, "student_accuracy", seed=seed)
        .merge(_controlled(part, similarity), on=["kind", "measure"])
        .assign(teachers=teachers)
        for teachers, part in groups.items()
    ]
    return {
        "distillation": found,
        "distillation_correlations": pd.concat(found_by_group, ignore_index=True),
    }


def _controlled(found: pd.DataFrame, similarity: pd.DataFrame) -> pd.DataFrame:
    """partial and partial_p, accuracy_pearson and accuracy_pearson_p, for each kind and measure."""
    rows = []
    for measure, kind, part in each_matrix(tables.both_directions(similarity)):
        joined = found.merge(part, on=["model_a", "model_b"]).dropna(subset=["value", "student_accuracy"])
        x, y, z = joined[["value", "student_accuracy", "teacher_accuracy"]].to_numpy(float).T
        alone = correlations.of(z, y)
        accuracy = {"accuracy_pearson": alone["pearson"], "accuracy_pearson_p": alone["pearson_p"]}
        rows.append({"kind": kind, "measure": measure, **correlations.partial(x, y, z), **accuracy})
    return pd.DataFrame(rows)


def recommendations(
    best: pd.DataFrame, students: pd.DataFrame | None, *, student: str | None = None
) -> pd.DataFrame:
    """What to do with the study's own models: a row for each ensemble of ``best``, and one for the teacher.

    Columns use, models, against, gain, gain_low, gain_high, chosen_again, n, basis. The gain of an ensemble
    is accuracy over the best model alone, that of a teacher the student's accuracy over the mean of all
    teachers. It is what choosing on one part (images, repeats of the student) brings on the other, NaN where
    there is no other part.
    """
    shared = ["models", "gain", "gain_low", "gain_high", "chosen_again", "n"]
    rows = best[shared].assign(
        use="ensemble of " + best["members"].astype(str), against=best["single"], basis="halves of the images"
    )
    if students is not None:
        rows = pd.concat([rows, pd.DataFrame([_teacher(students) | {"use": f"teacher of {student}"}])])
    return rows[["use", "models", "against", *shared[1:], "basis"]].reset_index(drop=True)


def _teacher(students: pd.DataFrame) -> dict[str, Any]:
    """The teacher whose students are best, as a row of :func:`recommendations`.

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
