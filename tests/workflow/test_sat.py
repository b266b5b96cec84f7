"""Similarity by attack transferability in a study, also where models cannot be compared."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY, StudyFolder

from modelkin.data.images import load_images
from modelkin.networks.weights import load_model


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    changed = {key: value for key, value in TINY.items() if key != "distillation"}
    changed |= {
        "study": "attacked",
        "adversarial": {"radius": 0.3, "steps": 20},
        "measures": ["linear_cka", "agreement", "sat"],
    }
    study = StudyFolder(tmp_path_factory.mktemp("attacked"), changed)
    study.make("--until", "tables", "sat_shortcut")
    return study


def test_every_value_is_the_definition_from_the_stores(attacked):
    """Both models are run on each other's images anew, and the formula is applied by hand."""
    table = pd.read_parquet(attacked.results / "tables" / "similarity.parquet").query("measure == 'sat'")
    assert len(table) == 4 * 5 // 2
    assert set(table["kind"]) == {"adversarial"}
    assert table["chance"].isna().all(), "a mean is the same in any order of the images"
    natural = load_images(attacked.results / "probes" / "natural.json")
    names = [entry["name"] for entry in TINY["models"]]
    loaded = {name: load_model(attacked.results / "models" / f"{name}.json") for name in names}
    probes = {
        name: load_images(attacked.results / "probes" / "adversarial" / f"{name}.json") for name in names
    }

    def named(model, probe):
        with torch.no_grad():
            return loaded[model](torch.from_numpy(probe.floats())).argmax(1).numpy()

    for row in table.itertuples():
        a, b, y = row.model_a, row.model_b, natural.labels
        both = (named(a, natural) == y) & (named(b, natural) == y)
        fooled = ((named(a, probes[b]) != y)[both].mean() + (named(b, probes[a]) != y)[both].mean()) / 2
        assert row.n == both.sum()
        assert row.value == pytest.approx(math.log(max(0.01, 100 * fooled)), abs=1e-9)
    assert probes["vgg-0"].ids.tolist() == natural.ids.tolist()
    moved = np.abs(probes["vgg-0"].floats() - natural.floats()).max()
    assert 0.2 < moved <= 0.3 + 1e-6


def test_the_attack_is_reported(attacked):
    cards = pd.read_parquet(attacked.results / "tables" / "models.parquet").set_index("name")
    own = pd.read_parquet(attacked.results / "tables" / "similarity.parquet")
    own = own.query("measure == 'sat' and model_a == model_b").set_index("model_a")["value"]
    for name, row in cards.iterrows():
        said = json.loads((attacked.results / "probes" / "adversarial" / f"{name}.json").read_text())["facts"]
        assert row["attack_success"] == said["success"]
        assert math.exp(own[name]) == pytest.approx(100 * said["success"], rel=1e-6)
        assert 0 < row["attack_median_distance"] <= 0.3 + 1e-6


NETWORK = """
from torch import nn


def constant():
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
"""


@pytest.fixture(scope="module")
def hopeless(tmp_path_factory):
    """Two models that learn; others name always the first class, the second, and one without images."""
    folder = tmp_path_factory.mktemp("hopeless")
    (folder / "networks.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    y = np.arange(240) % 2
    x = np.clip(rng.normal(0.5, 0.1, (240, 6, 6)) + 0.3 * y[:, None, None] * (np.arange(6) > 2), 0, 1)
    np.savez(folder / "train.npz", x=x[:120].astype(np.float32), y=y[:120])
    np.savez(folder / "test.npz", x=x[120:].astype(np.float32), y=y[120:])
    entries = []
    for number, name in enumerate(("first", "second", "neither")):
        weights = {"1.weight": torch.zeros(3, 36), "1.bias": torch.eye(3)[number]}
        torch.save(weights, folder / f"{name}.pt")
        entry = {"source": "file", "architecture": "networks.py:constant", "weights": f"{name}.pt"}
        entries.append({"name": name, **entry})
    changed = {key: value for key, value in TINY.items() if key not in ("distillation", "draws")}
    changed |= {
        "study": "hopeless",
        "dataset": {"name": "npz", "train": "train.npz", "test": "test.npz", "classes": ["a", "b", "none"]},
        "models": [*(dict(TINY["models"][1], name=name) for name in ("one", "two")), *entries],
        "training": {**TINY["training"], "epochs": 6},
        "measures": ["agreement", "sat"],
        "ensembles": {"sizes": [2], "draws": 2, "clusters_by": {"measure": "agreement", "kind": "natural"}},
    }
    study = StudyFolder(folder, changed)
    study.said = study.make()
    return study


def test_models_that_cannot_be_compared_by_attacks_do_not_end_the_study(hopeless):
    table = {
        name: pd.read_parquet(hopeless.results / "tables" / f"{name}.parquet")
        for name in ("similarity", "models", "clusters", "ensemble_choices", "sat_shortcut_models")
    }
    rows = table["similarity"].query("measure == 'sat'").set_index(["model_a", "model_b"])
    unknown = rows.index[rows["value"].isna()]
    every = ["one", "two", "first", "second", "neither"]
    assert set(unknown) == {(name, "neither") for name in every} | {("first", "second")}
    assert (rows.loc[unknown, "n"] == 0).all()
    assert rows.loc[("one", "two"), "n"] > 30
    # Constant models have no gradient, so no attack moves them: it is told that it failed.
    success = table["models"].set_index("name")["attack_success"]
    assert success[["first", "second"]].tolist() == [0, 0]
    assert math.isnan(success["neither"])
    assert rows.loc[("one", "first"), "attack_success"] == 0
    clustered = table["clusters"].query("measure == 'sat'")["model"].tolist()
    assert set(clustered) in ({"one", "two", "first"}, {"one", "two", "second"})
    left_out = table["ensemble_choices"].groupby("measure")["left_out"].agg(set)
    assert left_out["agreement"] == {""}
    (without,) = left_out["sat"]
    assert set(without.split(",")) == set(every) - set(clustered)
    assert "the model is right on none of the images, so no attack on it says anything" in hopeless.said
    assert "sat is not defined for 5 of 5 pairs" in hopeless.said
    assert "the attack fools its own model on 0 % of the images only" in hopeless.said
    assert table["sat_shortcut_models"].set_index("model").loc["neither", "pairs"] == 0
