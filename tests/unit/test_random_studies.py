"""Small studies of every sort go through all analyses and figures, and what is missing has a reason.

Before a release: MODELKIN_RANDOM_STUDIES=30 python -m pytest tests/unit/test_random_studies.py
"""

import os

import numpy as np
import pandas as pd
import pytest
from random_studies import Drawn, draw_study, study_tables

from modelkin import figures
from modelkin.errors import ModelkinError
from modelkin.figures import base
from modelkin.operations.data_dictionary import COLUMNS

FEW, MANY = range(int(os.environ.get("MODELKIN_RANDOM_STUDIES", "1"))), range(40)
SETTINGS = {"palette": "colorblind", "order": "level", "gallery": 2}


def made_of(study: Drawn) -> dict[str, pd.DataFrame] | None:
    """The tables of a study; None if it says in a sentence that no ensembles can be chosen."""
    try:
        return study_tables(study)
    except ModelkinError as error:
        if "ensembles: clusters_by" not in str(error):
            raise
        return None


@pytest.mark.parametrize("seed", FEW)
def test_a_small_study_is_analysed_and_drawn(seed):
    study = draw_study(seed)
    made = made_of(study)
    if made is None:
        return
    check_reasons(made)
    base.style()
    for name in figures.names():
        figure = figures.get(name)
        if set(figure.tables) <= set(made) and figure.measure in {None, *study.measures}:
            data = {table: base.as_plain_text(rows) for table, rows in made.items()}
            for label in study.measures if figure.per_measure else [None]:
                drawn = (
                    base.draw_measure(figure, data, SETTINGS, label)
                    if label
                    else base.draw_study(figure, data, SETTINGS)
                )
                if figure.as_table:
                    assert drawn.page(name)
                else:
                    base.plt.close(drawn)


def check_reasons(made):
    """Every NaN has its reason, and every table its columns."""
    for name, rows in made.items():
        assert set(COLUMNS[name]) - {"attack_success", "inversion_success"} <= set(rows), (
            f"{name} lacks columns"
        )
    for name in ("summary", "asymmetry"):
        rows = made[name]
        assert (rows["mean"].isna() == (rows["pairs"] == 0)).all()
        assert (rows["sd"].isna() == (rows["pairs"] < 2)).all()
        assert (rows["mean_inverted"].isna() == (rows["pairs_inverted"] == 0)).all()
        assert (rows["pairs_inverted"] <= rows["pairs"]).all()
        assert (
            rows.dtypes.drop(["kind", "measure", "norm", "source_norm", "observer_norm"], errors="ignore")
            .map(pd.api.types.is_numeric_dtype)
            .all()
        ), "columns of no rows keep their dtypes"
    relations = made["relations"]
    assert relations["mean"].notna().all() or made["similarity"]["value"].isna().any()
    said = made["conclusions"]
    assert np.isfinite(said["effect"]).all()
    assert (said[["p", "low"]].isna().all(axis=1) == (said["holds"] == "too few models")).all()
    known = made["ensemble_correlations"]
    assert (known["pearson"].notna() == known["pearson_p"].notna()).all()
    assert known.loc[known["n"] < 3, "pearson"].isna().all()
    assert np.isfinite(made["ensemble_pairs"][["error", "mean_member_error", "all_wrong"]]).all(axis=None)


def test_drawn_studies_are_of_every_sort():
    drawn = [draw_study(seed) for seed in MANY]
    levels = [len(study.described[["eps", "norm"]].drop_duplicates()) for study in drawn]
    sizes = [len(study.described) for study in drawn]
    assert {2, 3, 4, 5, 6} <= set(sizes)
    assert any(level == size for level, size in zip(levels, sizes, strict=True))
    assert any(level == 1 for level in levels)
    assert any(len(set(study.described.query("eps > 0")["norm"])) > 1 for study in drawn)
    assert any(study.shells[0]["value"].isna().any() for study in drawn)
    assert any(len(set(study.shells[0]["model_a"])) > len(study.described) for study in drawn), "retired"
    weights = [[card["weights"].iloc[0] for card in study.cards.values()] for study in drawn]
    assert any(len(set(each)) < len(each) for each in weights), "copies"
    assert {len(set(study.labels)) for study in drawn} == {2, 3}, "a class without images"
    losses = [[facts["median_loss"] for facts in study.inversions.values()] for study in drawn]
    assert any(max(each) > 0.2 for each in losses), "failed inversions"
