"""What a table says of a measure on a kind of probe is said of its own rows alone."""

import itertools

import numpy as np
import pandas as pd
import pytest

from modelkin.analysis import (
    cluster_tables,
    clusters,
    component_importance,
    correlations,
    ensemble_tables,
    ensembles,
    level_means,
    relations,
    tables,
    teachers,
)
from modelkin.operations.data_dictionary import COLUMNS

NAMES = list("abcdef")
DIRECTIONS = {"cka": "similarity", "apart": "distance"}
KINDS = ("natural", "inverted")
MODELS = pd.DataFrame(
    {
        "name": NAMES,
        "eps": [0.0] * 3 + [0.5] * 3,
        "norm": "l2",
        "architecture": list("uvwuvw"),
        "structure": list("uvwuvw"),
        "regime": ["s"] * 3 + ["r"] * 3,
        "hyper_parameters": "",
        "same_weights_as": None,
        "at_chance": False,
        "inversion_failed": False,
        "clean_accuracy": np.linspace(0.5, 0.9, 6),
    }
)
COMPONENTS = pd.DataFrame(
    {"model": NAMES, "base_family": list("uvwuvw"), "stem": list("xxyyxy"), "activation": list("ppqqqp")}
)
PAIRS = pd.DataFrame(itertools.combinations(NAMES, 2), columns=["model_a", "model_b"])


def similarity():
    rng = np.random.default_rng(5)
    rows = pd.DataFrame(
        [
            {"measure": measure, "kind": kind, "model_a": a, "model_b": b, "source": a}
            for measure, kind in itertools.product(DIRECTIONS, KINDS)
            for a, b in itertools.product(NAMES, repeat=2)
            if kind == "inverted" or a <= b
        ]
    )
    numbers = rng.random((len(rows), 2))
    rows = rows.assign(value=numbers[:, 0], stderr=0.05, chance=numbers[:, 1], n=50, inversion_failed=False)
    return rows.assign(attack_success=np.nan, inversion_success=1.0, source=rows["model_a"])


def logits():
    rng = np.random.default_rng(6)
    labels = rng.integers(3, size=40)
    return {name: np.eye(3)[labels] + rng.normal(0, 0.8, (40, 3)) for name in NAMES}, labels


MADE = {
    "summary": lambda rows: tables.summary(rows, MODELS),
    "relations": lambda rows: relations.relation_similarities(rows, MODELS, permutations=19),
    "means": lambda rows: level_means.level_means(rows, MODELS, resamples=20),
    "ensembles": lambda rows: correlations.with_similarity(
        PAIRS.assign(gain=np.sin(np.arange(len(PAIRS)))), rows, "gain", resamples=20, permutations=19
    ),
    "teachers": lambda rows: teachers.distillation_tables(
        pd.DataFrame(
            [
                {"teacher": name, "repeat": repeat, "student_accuracy": 0.3 * i % 1, "teacher_agreement": 0.5}
                for i, name in enumerate(NAMES[:-1])
                for repeat in range(2)
            ]
        ),
        rows,
        MODELS,
        COMPONENTS,
        student="f",
        seed=0,
    )["distillation_correlations"],
    "choices": lambda rows: ensembles.chosen_ensembles(
        *logits(), rows, [2, 3], 5, np.random.default_rng(0), DIRECTIONS
    ),
}


def of_clusters(rows):
    """All tables of clusters and of components."""
    made = cluster_tables.cluster_tables(
        rows, MODELS, DIRECTIONS, number=2, laplacian="normalised", repeats=3, share=0.8, seed=0
    )
    return made | component_importance.component_tables(COMPONENTS, rows, made["clusters"], MODELS, seed=0)


def check_alone(make):
    """Tables (by name) of several measures and kinds against those of the rows of one."""
    rows = similarity()
    rows = rows[(rows["measure"] == "cka") | (rows["kind"] == "inverted")]
    made = make(rows)
    # The first and the last of a measure's kinds: where they are pooled, one of them is changed.
    for kind in KINDS:
        alone = make(rows[(rows["measure"] == "cka") & (rows["kind"] == kind)])
        for name, whole in made.items():
            assert len(whole[["measure", "kind"]].drop_duplicates()) == 3, name
            part = whole[(whole["measure"] == "cka") & (whole["kind"] == kind)]
            pd.testing.assert_frame_equal(
                part.reset_index(drop=True), alone[name].reset_index(drop=True), check_dtype=False
            )


@pytest.mark.parametrize("name", MADE)
def test_each_measure_and_kind_by_itself(name):
    check_alone(lambda rows: {name: MADE[name](rows)})


def given_alone(components, pairs, *, seed):
    """In place of fits, which take seconds: what they are given."""
    told = {"component": [",".join(components["model"])], "importance": [pairs["value"].sum()]}
    return pd.DataFrame(told), {"pairs": len(pairs), "models": len(components)}


def test_clusters_and_components_by_themselves(monkeypatch):
    monkeypatch.setattr(clusters, "SHUFFLES", 3)
    monkeypatch.setattr(clusters, "t_sne", lambda matrix, direction, seed: matrix[:, :2])
    monkeypatch.setattr(component_importance, "importance", given_alone)
    check_alone(of_clusters)


def test_a_copy_counts_in_no_importance_and_in_no_keyword(monkeypatch):
    """What is said of components is what is said without the copy, to the last bit."""
    monkeypatch.setattr(component_importance, "importance", given_alone)
    rows = similarity()
    places = pd.DataFrame(
        [
            {"measure": measure, "kind": kind, "model": name, "cluster": i % 2}
            for measure, kind in itertools.product(DIRECTIONS, KINDS)
            for i, name in enumerate(NAMES)
        ]
    )

    def made(models):
        return component_importance.component_tables(COMPONENTS, rows, places, models, seed=0)

    without = component_importance.component_tables(
        COMPONENTS.query("model != 'e'"),
        rows[(rows["model_a"] != "e") & (rows["model_b"] != "e")],
        places.query("model != 'e'"),
        MODELS.query("name != 'e'"),
        seed=0,
    )
    every, copied = made(MODELS), made(MODELS.assign(same_weights_as=[*[None] * 4, "b", None]))
    for name, table in copied.items():
        pd.testing.assert_frame_equal(table, without[name], check_exact=True)
        assert not table.equals(every[name]), name
    assert set(copied["component_scores"]["pairs"]) == {10}
    assert set(copied["component_scores"]["models"]) == {5}


def test_a_copy_makes_no_cluster_and_lends_none_evidence(monkeypatch):
    """The clusters without it, to the last bit; it stands where its original does."""
    monkeypatch.setattr(clusters, "SHUFFLES", 9)
    rows = similarity()
    copied = MODELS.assign(same_weights_as=[*[None] * 4, "b", None])
    # As a copy would be: with its original alone, and nearly so with others.
    both = rows["model_a"].isin(["b", "e"]) & rows["model_b"].isin(["b", "e"])
    rows.loc[both, "value"] = np.where(rows["measure"] == "cka", 1.0, 0.0)[both]

    def made(rows, models):
        return cluster_tables.cluster_tables(
            rows, models, DIRECTIONS, number=2, laplacian="normalised", repeats=5, share=0.8, seed=0
        )

    without = made(rows[(rows["model_a"] != "e") & (rows["model_b"] != "e")], MODELS.query("name != 'e'"))
    every, found = made(rows, MODELS), made(rows, copied)
    for name in ("cluster_stability", "spectra", "spectral_features"):
        pd.testing.assert_frame_equal(found[name], without[name], check_exact=True)
        assert not found[name].equals(every[name]), name
    places = found["clusters"]
    pd.testing.assert_frame_equal(
        places.query("model != 'e'").reset_index(drop=True), without["clusters"], check_exact=True
    )
    for _, part in places.groupby(["measure", "kind"]):
        assert part["model"].tolist() == NAMES
        by_name = part.set_index("model").drop(columns=["measure", "kind"])
        assert by_name.loc["e"].equals(by_name.loc["b"])


def test_a_copy_is_in_no_ensemble_that_is_drawn_or_chosen():
    """Sets of an original and its copy err as it does, so they would stand for what ensembles bring."""
    rows, (given, labels) = similarity(), logits()
    given["e"] = given["b"]
    copied = MODELS.assign(same_weights_as=[*[None] * 4, "b", None])

    def made(logits, rows, models, sizes=(2, 3)):
        return ensemble_tables.ensemble_tables(
            logits,
            labels,
            rows,
            models,
            DIRECTIONS,
            sizes=sizes,
            draws=5,
            clusters_by={"measure": "cka", "kind": "natural"},
            rng=np.random.default_rng(0),
        )

    found = made(given, rows, copied)
    alone = {name: values for name, values in given.items() if name != "e"}
    kept = rows[(rows["model_a"] != "e") & (rows["model_b"] != "e")]
    without, every = made(alone, kept, MODELS.query("name != 'e'")), made(given, rows, MODELS)
    for name, table in found.items():
        if name != "ensemble_pairs":
            pd.testing.assert_frame_equal(table, without[name], check_exact=True)
            assert not table.equals(every[name]), name
    assert len(found["ensemble_pairs"]) == 15, "each pair is what it is"
    assert set(made(given, rows, copied, [2, 6])["ensemble_clusters"]["members"]) == {2}, "of five models"


def test_a_study_of_one_model_and_its_copies_has_no_ensembles():
    rows, (given, labels) = similarity(), logits()
    copies = MODELS.assign(same_weights_as=[None, *"aaaaa"])
    made = ensemble_tables.ensemble_tables(
        given,
        labels,
        rows,
        copies,
        DIRECTIONS,
        sizes=[2, 3],
        draws=5,
        clusters_by={"measure": "cka", "kind": "natural"},
        rng=np.random.default_rng(0),
    )
    for name in ("ensemble_clusters", "ensemble_choices", "ensemble_best", "ensemble_relations"):
        assert len(made[name]) == 0
        assert set(made[name]) == set(COLUMNS[name]) - {"attack_success", "inversion_success"}


def test_components_are_told_of_the_models_and_values_that_a_measure_has(monkeypatch):
    """apart knows nothing of f; of natural images cka has no value of a and b, and no cluster of d."""
    monkeypatch.setattr(component_importance, "importance", given_alone)
    rows = similarity()
    rows = rows[(rows["measure"] == "cka") | ~rows[["model_a", "model_b"]].eq("f").any(axis=1)]
    here = (rows["measure"] == "cka") & (rows["kind"] == "natural")
    rows.loc[here & (rows["model_a"] == "a") & (rows["model_b"] == "b"), "value"] = np.nan
    places = pd.DataFrame(
        [
            {"measure": measure, "kind": kind, "model": name, "cluster": i % 2}
            for measure, kind in itertools.product(DIRECTIONS, KINDS)
            for i, name in enumerate(NAMES)
            if (measure, kind, name) != ("cka", "natural", "d")
        ]
    )
    made = component_importance.component_tables(COMPONENTS, rows, places, MODELS, seed=0)
    keys = ["measure", "kind"]
    told, scores = (made[f"component_{name}"].set_index(keys) for name in ("importance", "scores"))
    for measure, kind in itertools.product(DIRECTIONS, KINDS):
        part = rows[
            (rows["measure"] == measure) & (rows["kind"] == kind) & (rows["model_a"] != rows["model_b"])
        ]
        total = part["value"].sum() / (2 if kind == "inverted" else 1)
        assert told.loc[(measure, kind), "importance"] == pytest.approx(total), "the mean of both directions"
        known = NAMES if measure == "cka" else NAMES[:-1]
        assert told.loc[(measure, kind), "component"] == ",".join(known)
        pairs = len(known) * (len(known) - 1) // 2 - ((measure, kind) == ("cka", "natural"))
        assert scores.loc[(measure, kind), ["pairs", "models"]].tolist() == [pairs, len(known)]
    found = made["component_keywords"].query("measure == 'cka' and kind == 'natural'")
    wanted = component_importance.keywords(COMPONENTS.query("model != 'd'"), np.array([0, 1, 0, 0, 1]))
    pd.testing.assert_frame_equal(found[list(wanted)].reset_index(drop=True), wanted)


def test_a_teacher_is_the_mean_of_its_students_and_a_copy_is_in_no_correlation():
    accuracies = {name: [0.1 * i, 0.1 * i, 0.1 * i + 0.3] for i, name in enumerate(NAMES[:-1])}
    students = pd.DataFrame(
        [
            {"teacher": name, "repeat": repeat, "student_accuracy": value, "teacher_agreement": value / 2}
            for name, values in accuracies.items()
            for repeat, value in enumerate(values)
        ]
    )
    copied = MODELS.assign(same_weights_as=[None, "a", None, None, None, None])
    made = teachers.distillation_tables(students, similarity(), copied, COMPONENTS, student="f", seed=0)
    table = made["distillation"].set_index("model_a")
    for name, values in accuracies.items():
        assert table["student_accuracy"][name] == pytest.approx(np.mean(values))
        assert table["student_accuracy_sd"][name] == pytest.approx(np.std(values, ddof=1))
        assert table["teacher_agreement"][name] == pytest.approx(np.mean(values) / 2)
        assert table["repeats"][name] == 3
    assert table["same_family"].to_dict() == {name: name == "c" for name in accuracies}, "as f, the student"
    every = made["distillation_correlations"].query("teachers == 'all'")
    assert set(every["n"]) == {4}, "b has the weights of a"


def test_ensembles_are_of_the_clusters_that_the_config_names():
    rows, (given, labels) = similarity(), logits()
    here = (rows["measure"] == "apart") & (rows["kind"] == "natural")
    made = [
        ensemble_tables.ensemble_tables(
            given,
            labels,
            chosen,
            MODELS,
            DIRECTIONS,
            sizes=[2],
            draws=5,
            clusters_by={"measure": "apart", "kind": "natural"},
            rng=np.random.default_rng(0),
        )["ensemble_clusters"]
        for chosen in (rows, rows[here])
    ]
    pd.testing.assert_frame_equal(*made)
