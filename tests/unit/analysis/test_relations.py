"""Relations of models, and what follows for similarity and ensembles, against counts by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from conftest import TINY

from modelkin.analysis import relations
from modelkin.study.config import Study

MODELS = pd.DataFrame(
    [
        ("a1", "conv", "standard", ""),
        ("a2", "conv", "standard", ""),
        ("a3", "conv", "standard", "rate 2"),
        ("a4", "conv", "robust", "rate 2"),
        ("b1", "patch", "standard", ""),
        ("b2", "patch", "robust", ""),
    ],
    columns=["name", "structure", "regime", "hyper_parameters"],
)


def every_pair():
    return pd.DataFrame(list(itertools.combinations(MODELS["name"], 2)), columns=["model_a", "model_b"])


def test_a_relation_is_the_furthest_difference():
    pairs = every_pair()
    found = dict(
        zip(pairs["model_a"] + pairs["model_b"], relations.pair_relations(pairs, MODELS), strict=True)
    )
    assert found["a1a2"] == "initialisation"
    assert found["a1a3"] == found["a2a3"] == "hyper-parameters"
    assert found["a1a4"] == found["a3a4"] == found["b1b2"] == "training regime"
    assert found["a1b1"] == found["a4b2"] == "architecture"
    turned = relations.pair_relations(
        pairs.rename(columns={"model_a": "model_b", "model_b": "model_a"}), MODELS
    )
    assert list(turned) == list(found.values())


def test_similarities_are_means_over_the_pairs_of_a_relation():
    rows = every_pair().assign(kind="natural", measure="cka", value=np.arange(15.0))
    rows = pd.concat([rows, rows[:1].assign(model_b="a1", value=99.0)])  # itself: left out
    found = relations.relation_similarities(rows, MODELS).set_index(["relation", "structure"])
    of = dict(zip(every_pair().agg("".join, axis=1), np.arange(15.0), strict=True))
    assert found.loc[("initialisation", "all"), "mean"] == of["a1a2"]
    assert np.isnan(found.loc[("initialisation", "all"), "sd"])
    regimes = [of["a1a4"], of["a2a4"], of["a3a4"], of["b1b2"]]
    assert found.loc[("training regime", "all"), ["mean", "sd", "pairs"]].tolist() == pytest.approx(
        [np.mean(regimes), np.std(regimes, ddof=1), 4]
    )
    assert found.loc[("training regime", "patch"), "mean"] == of["b1b2"]
    assert found.loc[("architecture", "all"), "pairs"] == 8
    assert ("architecture", "conv") not in found.index


@pytest.mark.parametrize("undefined", [[], [7]])
def test_means_over_relations_stand_beside_those_of_permuted_models(undefined):
    """The null against all 720 orders of six models, written out; a pair may have no value."""
    pairs = every_pair()
    values = np.random.default_rng(3).random(15) + pairs.eval("model_a == 'a1' and model_b == 'a2'")
    values[undefined] = np.nan
    rows = pairs.assign(kind="natural", measure="cka", value=values)
    made = relations.relation_similarities(rows, MODELS, permutations=9999).set_index(
        ["relation", "structure"]
    )
    names = list(MODELS["name"])
    grid = np.zeros((6, 6))
    for (a, b), value in zip(itertools.combinations(range(6), 2), values, strict=True):
        grid[a, b] = grid[b, a] = value
    kin = pairs.assign(relation=relations.pair_relations(pairs, MODELS))
    for relation in ("initialisation", "hyper-parameters", "architecture"):
        chosen = kin[kin["relation"] == relation][["model_a", "model_b"]].map(names.index).to_numpy()
        drawn = np.array(
            [[grid[order[a], order[b]] for a, b in chosen] for order in itertools.permutations(range(6))]
        )
        drawn = drawn[np.isfinite(drawn).any(axis=1)]  # of one pair there may be no value
        means = np.nanmean(drawn, axis=1)
        row = made.loc[(relation, "all")]
        assert row["null_mean"] == pytest.approx(means.mean(), abs=0.01)
        ends = np.quantile(means, [0.025, 0.975])
        assert row[["null_low", "null_high"]].tolist() == pytest.approx(ends, abs=0.06)
        exact = np.mean(np.abs(means - means.mean()) >= abs(means[0] - means.mean()) - 1e-9)
        assert row["p"] == pytest.approx(exact, abs=0.02), relation


def test_where_all_pairs_are_of_one_relation_there_is_no_null():
    same = MODELS.assign(structure="conv", regime="standard", hyper_parameters="")
    rows = every_pair().assign(kind="natural", measure="cka", value=np.arange(15.0))
    assert relations.relation_similarities(rows, same)[["null_mean", "p"]].isna().all(axis=None)


def test_ensembles_have_members_of_one_relation():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    logits = {name: np.eye(3)[labels] + rng.normal(size=(40, 3)) for name in MODELS["name"]}
    made = relations.relation_ensembles(logits, labels, MODELS, [2, 3], 200, rng)
    for row in made.itertuples():
        members = row.models.split(",")
        assert len(set(members)) == row.members == len(members)
        pairs = pd.DataFrame(list(itertools.combinations(members, 2)), columns=["model_a", "model_b"])
        assert set(relations.pair_relations(pairs, MODELS)) == {row.relation}
    found = made.groupby(["relation", "members"])["models"].agg(set).to_dict()
    assert found[("initialisation", 2)] == {"a1,a2"}
    assert found[("hyper-parameters", 2)] == {"a1,a3", "a2,a3"}
    assert found[("training regime", 2)] == {"a1,a4", "a2,a4", "a3,a4", "b1,b2"}
    assert len(found[("architecture", 2)]) == 8
    assert not made["models"].duplicated().any() or made.duplicated(["relation", "models"]).sum() == 0
    assert ("architecture", 3) not in found, "there are two architectures"


def test_what_the_config_says_of_models():
    models = [
        {"name": "a", "source": "train", "architecture": "vgg"},
        {"name": "b", "source": "train", "architecture": "vgg", "training": {"learning_rate": 0.1}},
        {"name": "c", "source": "train", "architecture": "vgg", "training": {"width": 8}},
        {"name": "d", "source": "train", "architecture": "vgg", "eps": 0.5},
        {"name": "e", "source": "train", "architecture": "vgg", "regime": "mixup"},
        {"name": "f", "source": "timm", "architecture": "resnet18.a1_in1k"},
        {"name": "g", "source": "timm", "architecture": "resnet18.a2_in1k", "hyper_parameters": "lamb"},
        {"name": "h", "source": "timm", "architecture": "resnet18.a2_in1k", "options": {"drop_rate": 0.1}},
    ]
    measures = [measure for measure in TINY["measures"] if measure != "sat"]
    study = Study(
        TINY
        | {"models": models, "measures": measures, "distillation": TINY["distillation"] | {"student": "a"}}
    )
    rows = {row["name"]: row for row in study.describe(study.active)}
    keys = ("structure", "regime", "hyper_parameters")
    assert {name: tuple(row[key] for key in keys) for name, row in rows.items()} == {
        "a": ("vgg", "standard", ""),
        "b": ("vgg", "standard", "learning_rate 0.1"),
        "c": ("vgg (width 8)", "standard", ""),
        "d": ("vgg", "adversarial l2 0.5", ""),
        "e": ("vgg", "mixup", ""),
        "f": ("resnet18", "resnet18.a1_in1k", ""),
        "g": ("resnet18", "resnet18.a2_in1k", "lamb"),
        "h": ("resnet18 (drop_rate 0.1)", "resnet18.a2_in1k", ""),
    }
