"""Tables and analyses of a whole study: against planted answers and the definitions."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from modelkin.analysis import cluster_tables, component_importance, recommendations, tables
from modelkin.analysis.ensemble_tables import ensemble_tables
from modelkin.analysis.ensembles import best_ensembles
from modelkin.analysis.recommendations import recommendations_table
from modelkin.analysis.sat_shortcut import joined_attacks
from modelkin.analysis.teachers import distillation_tables
from modelkin.errors import ModelkinError
from modelkin.operations.data_dictionary import COLUMNS


def block_matrix(sizes, near=0.9, far=0.1, noise=0.02, seed=0):
    """A similarity matrix with planted clusters, and their labels."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    matrix = np.where(labels[:, None] == labels, near, far) + noise * rng.normal(size=(len(labels),) * 2)
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1)
    return matrix, labels


def table_of(matrix, names, kind="natural", measure="linear_cka", stderr=0.01):
    """A similarity table from a matrix; both directions for inverted probes."""
    rows = []
    for i, j in itertools.product(range(len(names)), repeat=2):
        if kind == "inverted" or i <= j:
            pair = {"kind": kind, "source": names[i], "model_a": names[i], "model_b": names[j]}
            rows.append(
                {**pair, "measure": measure, "value": matrix[i, j], "stderr": stderr, "chance": 0, "n": 50}
            )
    return pd.DataFrame(rows)


MODELS = pd.DataFrame(
    {"name": list("abcdef"), "architecture": ["r", "v", "m"] * 2, "eps": [0.0] * 3 + [1.0] * 3, "norm": "l2"}
)


def test_summary_is_the_mean_over_different_models_of_a_level():
    matrix = np.random.default_rng(0).random((6, 6))
    rows = table_of(matrix, list("abcdef"), kind="inverted")
    made = tables.summary(rows.assign(attack_success=np.nan, inversion_success=np.nan), MODELS).set_index(
        "eps"
    )
    for eps, block in ((0.0, slice(0, 3)), (1.0, slice(3, 6))):
        values = matrix[block, block][~np.eye(3, dtype=bool)]
        assert made.loc[eps, "mean"] == pytest.approx(values.mean())
        assert made.loc[eps, "sd"] == pytest.approx(values.std(ddof=1))
        assert made.loc[eps, "pairs"] == 6
    grid = tables.asymmetry(rows.assign(inversion_success=np.nan), MODELS).pivot_table(
        index="source_eps", columns="observer_eps", values="mean"
    )
    assert grid.loc[0.0, 1.0] == pytest.approx(matrix[:3, 3:].mean())
    assert grid.loc[1.0, 0.0] == pytest.approx(matrix[3:, :3].mean())


def test_clusters_of_a_study_say_what_they_follow():
    matrix, _ = block_matrix((3, 3))
    made = cluster_tables.cluster_tables(
        table_of(matrix, list("abcdef")),
        MODELS,
        {"linear_cka": "similarity"},
        number=2,
        laplacian="normalised",
        repeats=5,
        share=0.8,
        seed=0,
    )
    row = made["cluster_stability"].iloc[0]
    assert row["ari_level"] == 1
    assert row["ari_architecture"] < 0.1
    assert made["spectra"]["rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_models_for_which_a_measure_is_undefined_are_left_out_of_its_clusters(caplog):
    matrix, _ = block_matrix((3, 3))
    rows = table_of(matrix, list("abcdef"), kind="adversarial", measure="sat")
    dead = (rows["model_a"] == "c") | (rows["model_b"] == "c")
    pair = (rows["model_a"] == "a") & (rows["model_b"] == "f")
    rows.loc[dead | pair, "value"] = np.nan
    known, dropped = tables.defined_square(rows)
    assert dropped[0] == "c"
    assert dropped[1] in "af"
    assert len(dropped) == 2
    assert known["value"].notna().all()
    assert set(known["model_a"]) == set("abcdef") - set(dropped)
    settings = {"number": 2, "laplacian": "normalised", "repeats": 5, "share": 0.8, "seed": 0}
    made = cluster_tables.cluster_tables(rows, MODELS, {"sat": "similarity"}, **settings)
    assert made["clusters"]["model"].tolist() == sorted(set("abcdef") - set(dropped))
    assert "undefined for c" in caplog.text


def test_distillation_joins_teachers_with_their_similarity():
    students = pd.DataFrame(
        {
            "teacher": np.repeat(list("bcdef"), 2),
            "repeat": [0, 1] * 5,
            "student_accuracy": np.repeat([0.5, 0.6, 0.7, 0.8, 0.9], 2) + [-0.01, 0.01] * 5,
            "teacher_agreement": 0.9,
        }
    )
    matrix = np.eye(6)
    matrix[0, 1:] = [0.1, 0.2, 0.3, 0.4, 0.5]
    rows = table_of(matrix, list("abcdef"))
    models = MODELS.assign(clean_accuracy=[0.9, 0.8, 0.9, 0.7, 0.9, 0.8])
    families = pd.DataFrame({"model": list("abcdef"), "base_family": ["x", "x", "y", "y", "x", "y"]})
    made = distillation_tables(students, rows, models, families, student="a", seed=0)
    assert made["distillation"]["student_accuracy"].tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert made["distillation"]["same_family"].tolist() == [True, False, False, True, False]
    found = made["distillation_correlations"].set_index("teachers")
    assert found["n"].to_dict() == {"all": 5, "same family": 2, "others": 3}
    assert found.loc["all", "pearson"] == pytest.approx(1)
    assert found.loc["all", "partial"] == pytest.approx(1)
    alone = distillation_tables(
        students, rows, models, families.assign(base_family=["z", *"xxxxx"]), student="a", seed=0
    )
    empty = alone["distillation_correlations"].set_index("teachers").loc["same family"]
    assert empty["n"] == 0
    assert np.isnan(empty["pearson"])
    control = stats.pearsonr([0.8, 0.9, 0.7, 0.9, 0.8], [0.5, 0.6, 0.7, 0.8, 0.9])
    assert found.loc["all", "accuracy_pearson"] == pytest.approx(control.statistic)
    assert found.loc["all", "accuracy_pearson_p"] == pytest.approx(control.pvalue)


def test_recommendations_of_ensembles_and_of_a_teacher():
    best = pd.DataFrame(
        {"members": [2], "models": ["a,b"], "error": [0.1], "single": ["a"], "single_error": [0.2]}
        | {
            "gain": [0.08],
            "gain_low": [0.01],
            "gain_high": [0.15],
            "gain_null": [0.0],
            "gain_p": [0.01],
            "chosen_again": [0.7],
            "n": [100],
        }
    )
    alone = recommendations_table(best, None)
    assert alone["use"].tolist() == ["ensemble of 2"]
    assert alone["recommended"].tolist() == [True]
    assert alone["against"].tolist() == ["a"]
    assert not recommendations_table(best.assign(gain_low=0.0), None)["recommended"].any()
    students = pd.DataFrame(
        {"teacher": ["b", "c"] * 2, "repeat": [0, 0, 1, 1], "student_accuracy": [0.9, 0.7, 0.7, 0.8]}
    )
    made = recommendations_table(best, students, student="a").set_index("use").loc["teacher of a"]
    assert made["models"] == "b"
    # Chosen by one repeat, looked at in the other: c in the first, b in the second, worse than the mean.
    assert (made["gain"], made["gain_low"], made["gain_high"]) == pytest.approx((-0.075, -0.1, -0.05))
    assert made["chosen_again"] == 0.5
    # Of the two orders the other gains .075; both picks are below their means.
    assert made["gain_null"] == pytest.approx(0, abs=0.01)
    assert made["gain_p"] == 1
    assert not made["recommended"]
    once = recommendations_table(best, students.query("repeat == 0"), student="a").iloc[-1]
    assert once["models"] == "b"
    assert np.isnan(once["gain"]), "no other repeat to look at"
    assert not once["recommended"]


def test_a_teacher_gains_over_all_teachers_of_the_same_repeat(monkeypatch):
    monkeypatch.setattr(recommendations, "PERMUTATIONS", 1)
    students = pd.DataFrame(
        {
            "teacher": list("bcd") * 3,
            "repeat": np.repeat([0, 1, 2], 3),
            "student_accuracy": [0.9, 0.5, 0.1, 0.8, 0.6, 0.1, 0.9, 0.5, 0.4],
        }
    )
    made = recommendations._teacher(students)
    assert made["models"] == "b"
    assert (made["gain"], made["gain_low"], made["gain_high"]) == pytest.approx((1 / 3, 0.3, 0.4))
    # The one order puts another teacher in the place of b: only b itself gains as much.
    assert made["gain_null"] < 0.2
    assert made["gain_p"] == 0.5


def test_no_ensemble_is_recommended_beside_a_model_without_errors():
    """Another model without an error on one half makes a gain on the other, by chance."""
    labels = np.arange(100) % 2
    perfect, nearly = np.eye(2)[labels], np.eye(2)[labels]
    nearly[0] = nearly[0, ::-1]
    best = best_ensembles({"a": nearly, "b": perfect * 3}, labels, [2], np.random.default_rng(0))
    assert best["gain"].item() > 0
    assert not recommendations_table(best, None)["recommended"].any()


def test_ensembles_of_a_study_keep_one_clustering():
    """hwang2024, Section 5.1: members of one cluster, of two, ... of the same clusters."""
    matrix, truth = block_matrix((2, 2, 2))
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 100)
    logits = {name: 2 * np.eye(4)[labels] + rng.normal(size=(100, 4)) for name in "abcdef"}
    by = {"measure": "linear_cka", "kind": "natural"}
    kin = MODELS.assign(structure=MODELS["architecture"], regime=["x"] * 3 + ["y"] * 3, hyper_parameters="")
    rows, directions = table_of(matrix, list("abcdef")), {"linear_cka": "similarity"}
    made = ensemble_tables(
        logits, labels, rows, kin, directions, sizes=[2, 3, 9], draws=4, clusters_by=by, rng=rng
    )
    counts = made["ensemble_clusters"].groupby(["members", "clusters"]).size().to_dict()
    # No planted cluster has three models, and nine are more than the study has.
    assert counts == dict.fromkeys([(2, 1), (2, 2), (3, 2), (3, 3)], 4)
    assert len(made["ensemble_pairs"]) == 15
    assert set(made["ensemble_relations"]["relation"]) == {"training regime", "architecture"}
    assert made["ensemble_best"]["members"].tolist() == [2, 3]


def test_ensembles_of_a_study_do_without_what_is_undefined():
    """As SAT is where two models have no image in common: it clusters and chooses among the others."""
    matrix, _ = block_matrix((2, 2, 2))
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 60)
    logits = {name: 2 * np.eye(4)[labels] + rng.normal(size=(60, 4)) for name in "abcdef"}
    kin = MODELS.assign(structure="s", regime="r", hyper_parameters="")
    whole, sat = table_of(matrix, list("abcdef")), table_of(matrix, list("abcdef"), "adversarial", "sat")
    sat.loc[(sat["model_a"] == "b") | (sat["model_b"] == "b"), "value"] = np.nan
    rows, directions = pd.concat([whole, sat]), dict.fromkeys(("linear_cka", "sat"), "similarity")

    def made(rows, sizes):
        by = {"measure": "sat", "kind": "adversarial"}
        return ensemble_tables(
            logits, labels, rows, kin, directions, sizes=sizes, draws=3, clusters_by=by, rng=rng
        )

    found = made(rows, [2, 3])
    assert set(found["ensemble_clusters"]["members"]) == {2, 3}
    assert set(zip(*found["ensemble_choices"][["measure", "left_out"]].to_numpy().T, strict=True)) == {
        ("linear_cka", ""),
        ("sat", "b"),
    }
    assert set(made(rows, [2, 6])["ensemble_clusters"]["members"]) == {2}, "five models are clustered"
    with pytest.raises(ModelkinError, match="sat on adversarial probes is undefined for b: too few models"):
        made(rows, [6])


def test_the_worst_attack_stands_beside_all_that_rests_on_it():
    similarity = pd.DataFrame(
        {
            "kind": ["adversarial", "adversarial", "natural"],
            "measure": ["sat", "sat", "linear_cka"],
            "attack_success": [0.9, 0.4, np.nan],
            "inversion_success": [np.nan, 0.3, 0.5],
        }
    )
    rows = pd.DataFrame({"kind": ["natural", "adversarial"], "measure": ["linear_cka", "sat"], "x": [1, 2]})
    made = tables.with_lowest_success({"by": rows, "other": rows[["x"]]}, similarity)
    assert made["by"]["attack_success"].tolist() == pytest.approx([np.nan, 0.4], nan_ok=True)
    assert list(made["other"]) == ["x"]


def test_a_table_of_several_attacks_says_of_which_each_row_is():
    one, other = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [3]})
    assert joined_attacks({"adversarial": one}) is one
    alone = joined_attacks({"adversarial:l2": one})
    assert alone.to_dict("list") == {"kind": ["adversarial:l2"] * 2, "x": [1, 2]}, "a label is always said"
    both = joined_attacks({"adversarial:l2": one, "adversarial:linf": other})
    assert both.to_dict("list") == {"kind": ["adversarial:l2"] * 2 + ["adversarial:linf"], "x": [1, 2, 3]}


def test_tables_of_a_study_without_two_models_of_a_level_keep_columns_and_dtypes():
    rows = pd.concat([table_of(np.eye(6), list("abcdef"), kind=kind) for kind in ("natural", "inverted")])
    rows = rows.assign(attack_success=np.nan, inversion_success=np.nan)
    whole = tables.summary(rows, MODELS)
    distinct = tables.summary(rows, MODELS.assign(eps=np.arange(6) / 10))
    assert len(distinct) == 0
    assert distinct.columns.equals(whole.columns)
    assert distinct.dtypes.equals(whole.dtypes)
    natural = rows.query("kind == 'natural'")
    none, some = (tables.asymmetry(found, MODELS) for found in (natural, rows))
    assert len(none) == 0
    assert none.dtypes.equals(some.dtypes)


def test_a_table_of_no_training_keeps_its_columns():
    epoch = {"epoch": 1, "loss": 1.0, "train_accuracy": 0.5, "test_accuracy": 0.5}
    some, none = tables.training_table({"a": [epoch]}), tables.training_table({"a": []})
    assert len(none) == 0
    assert none.dtypes.equals(some.dtypes)


def test_a_study_of_undefined_values_has_empty_tables_of_clusters_and_components():
    rows = table_of(np.full((2, 2), np.nan), list("ab"))
    made = cluster_tables.cluster_tables(
        rows,
        MODELS,
        {"linear_cka": "similarity"},
        number="eigengap",
        laplacian="normalised",
        repeats=2,
        share=0.8,
        seed=0,
    )
    components = pd.DataFrame({"model": list("ab"), "base_family": ["CNN", "MLP"]})
    made |= component_importance.component_tables(components, rows, made["clusters"], MODELS, seed=0)
    for name, table in made.items():
        assert len(table) == 0
        assert set(COLUMNS[name]) - {"attack_success", "inversion_success"} == set(table)
