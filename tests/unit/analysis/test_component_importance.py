"""Components: tables of users, importance and keywords."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from modelkin.analysis import component_importance, tables
from modelkin.errors import ModelkinError
from modelkin.study.component_table import read_component_table

# a user's table


def written(tmp_path, text):
    path = tmp_path / "components.csv"
    path.write_text(text)
    return path


FOUND = pd.DataFrame({"model": ["a", "b"], "stem": ["3x3", "7x7"], "activation": ["ReLU", "GELU"]})


def test_a_users_cells_count_and_empty_ones_do_not(tmp_path):
    path = written(tmp_path, "model,stem,search\nold,,\nb,,no\na,5x5,yes\n")
    given = {"rows": read_component_table(path, ["old", "a", "b"], ["a", "b"]), "replace": False}
    made = tables.combined_components(FOUND, given)
    assert made["model"].tolist() == ["a", "b"]
    assert made["stem"].tolist() == ["5x5", "7x7"]
    assert made["activation"].tolist() == ["ReLU", "GELU"]
    assert made["search"].tolist() == ["yes", "no"]
    assert tables.combined_components(FOUND, given | {"replace": True}).columns.tolist() == [
        "model",
        "stem",
        "search",
    ]
    assert tables.combined_components(FOUND, None) is FOUND


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,stem\na,3x3\n", "no row for model 'b'"),
        ("model,stem\na,x\nb,x\nc,x\n", "unknown model"),
        ("model,stem\na,x\nb,x\na,x\n", "more than one row for model 'a'"),
        ("stem\nx\n", "column 'model'"),
        ("model,stem\na,x\nb,x,y\n", "line 3"),
        ("", "is empty"),
        (f"model,stem\na,3x3\nb,{'x' * 201}\n", "line 3 of .* has a cell of 201 characters, and 200 at most"),
        (f"model,{'x' * 201}\na,3x3\nb,x\n", "line 1 of .* has a cell of 201 characters"),
    ],
)
def test_a_users_table_that_is_wrong_is_refused(tmp_path, text, said):
    with pytest.raises(ModelkinError, match=said):
        read_component_table(written(tmp_path, text), ["a", "b"], ["a", "b"])


# importance and keywords


def pairs_of(table, value):
    names = list(table["model"])
    rows = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    pairs = pd.DataFrame(rows, columns=["model_a", "model_b"])
    return pairs.assign(value=value(component_importance.differences(table, pairs)))


def planted(models=24, seed=0):
    rng = np.random.default_rng(seed)
    words = {name: rng.choice(["x", "y", "z"], models) for name in ("decides", "helps", "idle")}
    return pd.DataFrame({"model": [f"m{i}" for i in range(models)], **words, "same": "x"})


def test_the_components_that_decide_are_important():
    table = planted()
    pairs = pairs_of(table, lambda d: 3 - 2 * d[:, 0] - 0.7 * d[:, 1])
    found, scores = component_importance.importance(table, pairs)
    assert found["component"].tolist()[:2] == ["decides", "helps"]
    by_name = found.set_index("component")
    assert by_name.loc["idle", "importance"] == pytest.approx(0, abs=0.02)
    assert by_name.loc["same", "importance"] == 0
    assert not by_name.loc["same", "varies"]
    assert by_name.loc["decides", "importance_sd"] > 0
    assert scores["r2_fitted"] > 0.95
    assert scores["r2_new_models"] > 0.9
    assert (scores["pairs"], scores["models"]) == (24 * 23 // 2, 24)


def test_the_importance_of_permuted_models_stands_beside(monkeypatch):
    """What decides is above it; what is idle is not. Where nothing predicts there is none."""
    monkeypatch.setattr(component_importance, "PERMUTATIONS", 19)
    table = planted(models=12)
    noise = np.random.default_rng(1).normal(size=66)
    found, scores = component_importance.importance(
        table, pairs_of(table, lambda d: 3 - 2 * d[:, 0] + 0.3 * noise)
    )
    by_name = found.set_index("component")
    assert scores["r2_new_models"] > 0
    assert by_name.loc["decides", "importance_p"] == 0.05, "none of 19 is as high"
    assert by_name.loc["decides", "importance_null"] < by_name.loc["decides", "importance"] / 2
    assert by_name.loc["idle", "importance_p"] > 0.2
    assert by_name.loc["same", ["importance_null", "importance_p"]].tolist() == [0, 1]
    monkeypatch.setattr(component_importance, "PERMUTATIONS", 1)
    once, _ = component_importance.importance(table, pairs_of(table, lambda d: 3 - 2 * d[:, 0] + 0.3 * noise))
    decides = once.set_index("component").loc["decides"]
    assert decides["importance_null"] < 0.3 * decides["importance"], "the models themselves are not in it"
    nothing, scores = component_importance.importance(table, pairs_of(table, lambda d: noise))
    assert scores["r2_new_models"] <= 0
    assert nothing[["importance_null", "importance_p"]].isna().all(axis=None)


def test_expected_importances_are_the_means_of_permuted_columns():
    table = planted(models=10)
    noise = np.random.default_rng(1).normal(size=45)
    pairs = pairs_of(table, lambda d: 3 - 2 * d[:, 0] - d[:, 1] + 0.1 * noise)
    found, _ = component_importance.importance(table, pairs, repeats=100)
    exact = component_importance.expected_importance(
        component_importance.differences(table, pairs), pairs["value"].to_numpy()
    )
    in_order = found.set_index("component").loc[list(table.columns[1:]), "importance"]
    assert exact == pytest.approx(in_order.to_numpy(), abs=0.05)

    features, values = component_importance.differences(table, pairs), pairs["value"].to_numpy()
    fitted = GradientBoostingRegressor(random_state=0).fit(features, values)
    before = ((values - fitted.predict(features)) ** 2).mean()
    for column in range(features.shape[1]):
        errors = []
        for other in features[:, column]:
            moved = features.copy()
            moved[:, column] = other
            errors.append(((values - fitted.predict(moved)) ** 2).mean())
        assert exact[column] == pytest.approx((np.mean(errors) - before) / values.var(), abs=1e-6)


def test_importance_without_predictive_power_is_seen():
    table = planted()
    rng = np.random.default_rng(1)
    _, scores = component_importance.importance(table, pairs_of(table, lambda d: rng.normal(size=len(d))))
    assert scores["r2_fitted"] > 0.01
    assert scores["r2_new_models"] < scores["r2_fitted"]
    assert scores["r2_new_models"] < 0.02


def test_the_score_knows_nothing_of_models_left_out():
    """A component that names each model explains the pairs it saw, and none of a new model."""
    table = planted().assign(own=[f"w{i}" for i in range(24)])
    offset = dict(zip(table["model"], np.random.default_rng(2).normal(size=24), strict=True))
    pairs = pairs_of(table, lambda d: d[:, 0])
    pairs["value"] = pairs["model_a"].map(offset) + pairs["model_b"].map(offset)
    _, scores = component_importance.importance(table, pairs)
    assert scores["r2_new_models"] < 0.1


def test_the_score_for_new_models_by_its_definition():
    table = planted(models=7)
    noise = np.random.default_rng(3).normal(size=21)
    pairs = pairs_of(table, lambda d: 3 - 2 * d[:, 0] + 0.5 * noise)
    _, scores = component_importance.importance(table, pairs, repeats=1, seed=5)
    features, values = component_importance.differences(table, pairs), pairs["value"].to_numpy()
    left = right = 0.0
    for out in np.array_split(np.random.default_rng(5).permutation(sorted(table["model"])), 5):
        new = np.array(
            [a in out or b in out for a, b in zip(pairs["model_a"], pairs["model_b"], strict=True)]
        )
        fitted = GradientBoostingRegressor(random_state=5).fit(features[~new], values[~new])
        left += sum((values[new] - fitted.predict(features[new])) ** 2)
        right += sum((values[new] - np.mean(values[~new])) ** 2)
    assert scores["r2_new_models"] == pytest.approx(1 - left / right)


@pytest.mark.parametrize("change", [{"models": 3}, {"same": True}])
def test_nothing_is_said_of_too_little(change):
    table = planted(models=change.get("models", 8))
    pairs = pairs_of(table, lambda d: 0 * d[:, 0] + 0.3 if change.get("same") else d[:, 0])
    found, scores = component_importance.importance(table, pairs)
    assert found[["importance", "importance_sd"]].isna().all(axis=None)
    assert np.isnan(scores["r2_fitted"])
    assert np.isnan(scores["r2_new_models"])


def test_few_models_have_no_honest_score():
    table = planted(models=4)
    _, scores = component_importance.importance(table, pairs_of(table, lambda d: d[:, 0]))
    assert np.isnan(scores["r2_new_models"])
    assert scores["r2_fitted"] > 0.9, "six pairs are enough to fit"


def test_keywords_are_what_a_cluster_has_and_others_have_not():
    table = pd.DataFrame(
        {"model": list("abcd"), "stem": ["patch", "patch", "conv", "conv"], "norm": ["LN", "LN", "LN", "BN"]}
    )
    found = component_importance.keywords(table, np.array([0, 0, 1, 1]))
    first = found[found["cluster"] == 0]
    # LN: 3 of 4 models have it; patch: 2 of 4. TF is 1/2 for two components.
    assert first["keyword"].tolist() == ["stem: patch", "norm: LN"]
    assert first["weight"].tolist() == pytest.approx([np.log(2) / 2, np.log(4 / 3) / 2])
    assert first["rank"].tolist() == [1, 2]
    best = component_importance.keywords(table, np.array([0, 0, 1, 1]), top=1)
    assert best["keyword"].tolist() == ["stem: patch", "norm: BN"]
    second = found[found["cluster"] == 1].set_index("keyword")["weight"]
    assert second["norm: BN"] == pytest.approx(np.log(4) / 2 / 2)
    assert component_importance.keywords(table.assign(stem="x", norm="y"), np.array([0, 0, 1, 1])).empty
