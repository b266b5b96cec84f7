"""Which teachers make good students, and whether similarity tells (hwang2024, Section 5.2 and Fig. 11)."""

from __future__ import annotations

import pandas as pd

from modelkin.analysis import correlations, tables
from modelkin.analysis.tables import each_matrix


def distillation_tables(
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
    teachers_alone = tables.of_distinct(found, models)
    groups = {
        "all": teachers_alone,
        "same family": teachers_alone.query("same_family"),
        "others": teachers_alone.query("not same_family"),
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
        alone = correlations.correlation(z, y)
        accuracy = {"accuracy_pearson": alone["pearson"], "accuracy_pearson_p": alone["pearson_p"]}
        rows.append({"kind": kind, "measure": measure, **correlations.partial(x, y, z), **accuracy})
    return pd.DataFrame(rows)
