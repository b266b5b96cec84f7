"""What counts as one level, and what as another model: norms are not pooled, copies are not counted."""

import itertools

import numpy as np
import pandas as pd
import pytest

from modelkin.analysis import relations, tables
from modelkin.analysis.ensemble_tables import ensemble_tables
from modelkin.operations.data_dictionary import COLUMNS, dictionary_columns

NAMES = list("abcdef")
MIXED = pd.DataFrame(
    {
        **{"name": NAMES, "architecture": "vgg", "structure": "vgg", "regime": "standard"},
        **{"eps": [0.0, 0.0, 0.25, 0.25, 0.25, 0.25], "hyper_parameters": ""},
        # The norm of a standard model says nothing.
        "norm": ["l2", "linf", "l2", "l2", "linf", "linf"],
    }
)
ONE = MIXED.assign(norm=["l2"] + ["linf"] * 5)


def similarity(kind="inverted", seed=0):
    """Random values of both directions of every pair."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            **{"kind": kind, "model_a": a, "model_b": b, "measure": "linear_cka", "value": rng.random()},
            **{"stderr": 0.1, "chance": 0.1, "n": 50, "attack_success": np.nan, "inversion_success": np.nan},
        }
        for a, b in itertools.product(NAMES, repeat=2)
    )


def values(rows, pairs):
    """The values of these pairs, each two letters, in both directions."""
    known = rows.set_index(["model_a", "model_b"])["value"]
    return [known[tuple(each)] for pair in pairs for each in (pair, pair[::-1])]


def test_levels_of_different_norms_are_not_pooled():
    rows = similarity()
    made = tables.summary(rows, MIXED)
    assert list(zip(made["norm"], made["eps"], strict=True)) == [("", 0.0), ("l2", 0.25), ("linf", 0.25)]
    for found, pair in zip(made.itertuples(), ("ab", "cd", "ef"), strict=True):
        assert found.mean == pytest.approx(np.mean(values(rows, [pair])))
        assert found.pairs == 2
    grid = tables.asymmetry(rows, MIXED).set_index(
        ["source_norm", "source_eps", "observer_norm", "observer_eps"]
    )
    known = rows.set_index(["model_a", "model_b"])["value"]
    across = [known[pair] for pair in itertools.product("cd", "ef")]
    assert grid.loc[("l2", 0.25, "linf", 0.25), "mean"] == pytest.approx(np.mean(across))
    assert len(grid) == 9


def test_a_study_of_one_norm_has_levels_of_radii_alone():
    made = tables.summary(similarity(), ONE)
    assert "norm" not in made
    assert made["pairs"].tolist() == [2, 12]
    assert list(tables.asymmetry(similarity(), ONE).columns)[:3] == ["measure", "source_eps", "observer_eps"]


def test_levels_in_words():
    assert list(map(str, tables.model_levels(MIXED).values())) == [
        "0",
        "0",
        *["l2 0.25"] * 2,
        *["linf 0.25"] * 2,
    ]
    assert list(map(str, tables.model_levels(ONE).values())) == ["0", "0", *["0.25"] * 4]


@pytest.mark.parametrize("name", ["summary", "asymmetry"])
def test_the_dictionary_has_norms_where_the_tables_have(name):
    made = {"summary": tables.summary, "asymmetry": tables.asymmetry}[name](similarity(), MIXED)
    described = dictionary_columns([name], several_norms=True)
    assert list(described["column"]) == list(made.columns)
    assert list(dictionary_columns([name])["column"]) == list(COLUMNS[name])


# copies

COPIED = MIXED.assign(norm="l2", same_weights_as=[None, "a", None, None, None, "c"])
ALONE = COPIED[COPIED["same_weights_as"].isna()]


def of_alone(rows):
    return rows[rows["model_a"].isin(ALONE["name"]) & rows["model_b"].isin(ALONE["name"])]


@pytest.mark.parametrize("mean", [tables.summary, tables.asymmetry, relations.relation_similarities])
def test_means_are_those_of_the_study_without_its_copies(mean):
    rows = similarity()
    pd.testing.assert_frame_equal(mean(rows, COPIED), mean(of_alone(rows), ALONE))
    assert len(mean(rows, COPIED.drop(columns="same_weights_as"))) > 0


def test_copies_are_in_no_correlation_and_in_no_ensemble_of_models_that_differ():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=60)
    logits = {name: np.eye(3)[labels] + rng.normal(size=(60, 3)) for name in NAMES}
    logits["b"], logits["f"] = logits["a"], logits["c"]
    made = ensemble_tables(
        logits,
        labels,
        similarity(),
        COPIED,
        {"linear_cka": "similarity"},
        sizes=[2],
        draws=20,
        clusters_by={"measure": "linear_cka", "kind": "inverted"},
        rng=rng,
    )
    assert len(made["ensemble_pairs"]) == 15
    assert made["ensemble_correlations"]["n"].tolist() == [6]
    members = set(made["ensemble_relations"]["models"].str.split(",").explode())
    assert members == set("acde")


def test_what_a_second_try_saved_stands_in_the_tables_of_studies_that_have_one():
    def facts(**more):
        return dict.fromkeys(tables.INVERSION_FACTS, 0.0) | {"loss": np.array([0.1]), **more}

    again = {"rescued": 0.25, "median_first_loss": 0.4}
    told, plain = (
        tables.inversions_table({("inverted", name): facts(**more) for name in "ab"}, failed_above=0.2)
        for more in (again, {})
    )
    assert told.set_index("model")["rescued"].to_dict() == {"a": 0.25, "b": 0.25}
    models = tables.models_table(MIXED, {}, told, {}).set_index("name")
    assert models["inversion_rescued"].dropna().to_dict() == {"a": 0.25, "b": 0.25}
    assert models.loc["a", "inversion_median_first_loss"] == 0.4
    assert not [
        name for name in tables.models_table(MIXED, {}, plain, {}) if "resc" in name or "first" in name
    ]
    for table, made in (("inversions", told), ("models", models)):
        more = {column for column in made if "rescued" in column or "first_loss" in column}
        assert {*dictionary_columns([table], rescue=True)["column"]} == {*COLUMNS[table]} | more
        assert list(dictionary_columns([table])["column"]) == list(COLUMNS[table])
    assert set(told) == set(dictionary_columns(["inversions"], rescue=True)["column"])
    assert set(plain) == set(COLUMNS["inversions"])


def test_failed_images_are_counted_and_their_sources_told():
    inversions = tables.inversions_table(
        {
            ("inverted", name): dict.fromkeys(tables.INVERSION_FACTS, 0.0)
            | {"median_loss": float(np.median(loss)), "loss": np.array(loss)}
            for name, loss in {"a": [0.1, 0.2, 0.9, 0.1], "b": [0.9, 0.8, 0.1, 0.7]}.items()
        },
        failed_above=0.2,
    ).set_index("model")
    assert inversions["inversion_success"].to_dict() == {"a": 0.75, "b": 0.25}
    assert inversions["failed"].to_dict() == {"a": False, "b": True}
    pair = {"measure": "cka", "model_a": "a", "model_b": "b", "value": 0.5, "attack_success": np.nan}
    rows = pd.DataFrame(
        [
            {**pair, "kind": "natural", "source": "digits"},
            {**pair, "kind": "inverted", "source": "a"},
            {**pair, "kind": "inverted", "source": "b", "model_a": "b", "model_b": "a", "value": 0.9},
        ]
    )
    told = tables.with_inversion_success(rows, inversions.reset_index())
    assert told["inversion_success"].tolist() == pytest.approx([np.nan, 0.75, 0.25], nan_ok=True)
    assert told["inversion_failed"].tolist() == [False, False, True]
    lowest = tables.with_lowest_success({"by": rows[["kind", "measure"]]}, told)["by"]
    assert lowest["inversion_success"].tolist() == pytest.approx([np.nan, 0.25, 0.25], nan_ok=True)
    both = tables.both_directions(told).set_index(["kind", "model_a"])["inversion_failed"]
    assert both["inverted"].all(), "a mean with images that failed"
    assert not both["natural"].any()


def test_means_over_relations_are_without_failed_models_too():
    models = MIXED.assign(eps=0.0, norm="l2")[:3]
    rows = pd.DataFrame(
        [
            {"kind": "inverted", "measure": "cka", "source": a, "model_a": a, "model_b": b, "value": value}
            for (a, b), value in {("a", "b"): 0.2, ("b", "a"): 0.4, ("a", "c"): 0.9, ("c", "b"): 0.9}.items()
        ]
    ).assign(inversion_failed=lambda rows: rows["source"] == "c")
    made = relations.relation_similarities(rows, models).set_index("structure").loc["all"]
    assert (made["pairs"], made["pairs_inverted"]) == (3, 2), "one mean has images that failed"
    assert made["mean"] == pytest.approx((0.3 + 0.9 + 0.9) / 3)
    assert made["mean_inverted"] == pytest.approx((0.3 + 0.9) / 2)
