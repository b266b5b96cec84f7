"""What to do with the study's own models: which to ensemble and who is to teach."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

PERMUTATIONS = 999  # of the teachers


def recommendations_table(
    best: pd.DataFrame, students: pd.DataFrame | None, *, student: str | None = None
) -> pd.DataFrame:
    """What to do with the study's own models: a row for each ensemble of ``best``, and one for the teacher.

    Columns use, recommended, models, against, gain, gain_low, gain_high, chosen_again, n, basis. The gain of
    an ensemble is accuracy over the best model alone, that of a teacher the student's accuracy over the mean
    of all teachers. It is what choosing on one part (images, repeats of the student) brings on the other, NaN
    where there is no other part; the best model alone is chosen with the ensemble, so that two models without
    an error may make a gain by chance. Recommended is what gains on all parts: gain_low above 0. gain_null is
    what the same choice gains of permuted models (teachers) in the mean, gain_p the share of permutations
    that gain as much.
    """
    shared = ["models", "gain", "gain_low", "gain_high", "gain_null", "gain_p", "chosen_again", "n"]
    rows = best[shared].assign(
        use="ensemble of " + best["members"].astype(str), against=best["single"], basis="halves of the images"
    )
    if students is not None:
        rows = pd.concat([rows, pd.DataFrame([_teacher(students) | {"use": f"teacher of {student}"}])])
    rows["recommended"] = rows["gain_low"] > 0
    return rows[["use", "recommended", "models", "against", *shared[1:], "basis"]].reset_index(drop=True)


def _teacher(students: pd.DataFrame) -> dict[str, Any]:
    """The teacher whose students are best, as a row of :func:`recommendations_table`.

    students: teacher, repeat, student_accuracy, every teacher in every repeat. The gain is that of teachers
    chosen by all repeats but one and looked at in that one; low and high are the ends over repeats.
    """
    grid = students.pivot_table(index="repeat", columns="teacher", values="student_accuracy", sort=False)
    first = grid.mean().idxmax()
    picked = [grid.drop(index=repeat).mean().idxmax() for repeat in grid.index] if len(grid) > 1 else []
    apart = grid.sub(grid.mean(axis=1), axis=0)
    gains = [apart.loc[repeat, pick] for repeat, pick in zip(grid.index, picked, strict=False)]
    gain = (np.mean(gains), np.min(gains), np.max(gains)) if gains else (math.nan,) * 3
    return {
        "models": first,
        "against": "mean of all teachers",
        **dict(zip(("gain", "gain_low", "gain_high"), map(float, gain), strict=True)),
        **_null(apart.to_numpy(), [grid.columns.get_loc(pick) for pick in picked]),
        "chosen_again": float(np.mean([pick == first for pick in picked])) if picked else math.nan,
        "n": len(grid),
        "basis": "repeats of the student",
    }


def _null(apart: np.ndarray, picked: list[int]) -> dict[str, float]:
    """gain_null and gain_p of a teacher picked for each repeat, by permuted teachers; NaN without a pick.

    apart (repeats, teachers): accuracy of the students less the mean of all teachers'.
    """
    if not picked:
        return {"gain_null": math.nan, "gain_p": math.nan}
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(apart.shape[1]) for _ in range(PERMUTATIONS)])
    found = apart[np.arange(len(picked)), orders[:, picked]].mean(1)
    gain = apart[np.arange(len(picked)), picked].mean()
    return {
        "gain_null": float(found.mean()),
        "gain_p": float((1 + (found >= gain - 1e-12).sum()) / (1 + len(found))),
    }
