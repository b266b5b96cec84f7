"""Beside the study's own models: some of another task, in colour, and some known from a table alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY, StudyFolder
from torch import nn

from modelkin.operations.data_dictionary import COLUMNS

OWN, UNSEEN, OTHERS = ["vgg-0", "mlp-0"], ["unseen-a", "unseen-b"], ["colours", "painted"]
NETWORK = """
from torch import nn


def painted():
    pooled = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
    return nn.Sequential(*pooled, nn.Flatten(), nn.Linear(24, 3))
"""


def coloured(folder):
    """Two splits of images of 12 pixels, each mostly red, green or blue."""
    rng = np.random.default_rng(0)
    for split, number in (("train", 90), ("test", 30)):
        y = np.arange(number) % 3
        x = rng.integers(0, 120, (number, 3, 12, 12)).astype(np.uint8)
        x[np.arange(number), y] += 100
        np.savez(folder / f"{split}.npz", x=x, y=y)
    return {"label": "colours", "name": "npz", "train": "train.npz", "test": "test.npz", "probes": False}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "network.py").write_text(NETWORK)
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))
    torch.save(nn.Sequential(*layers).state_dict(), folder / "painted.pt")
    names = [*OWN, *UNSEEN]
    values = np.where(np.eye(4, dtype=bool), 1.0, 0.2)
    values[[0, 1, 2, 3], [2, 3, 0, 1]] = 0.9
    pd.DataFrame(values, names, names).to_csv(folder / "paper.csv")
    kept = ("study", "device", "dataset", "training", "evaluation", "probes", "inversion", "clusters")
    config = {key: TINY[key] for key in kept} | {
        "models": [
            TINY["models"][0],
            {
                "name": "colours",
                "source": "train",
                "architecture": "vgg",
                "dataset": "colours",
                "training": {"epochs": 15, "batch_size": 16},
            },
            {"name": "unseen-a", "source": "none", "architecture": "vgg"},
            TINY["models"][1],
            {"name": "unseen-b", "source": "none"},
            {
                "name": "painted",
                "source": "file",
                "architecture": "network.py:painted",
                "weights": "painted.pt",
                "dataset": "colours",
            },
        ],
        "other_datasets": [coloured(folder)],
        "measures": ["linear_cka"],
        "imported": [{"label": "paper", "file": "paper.csv"}],
        "ensembles": {"sizes": [2], "draws": 3},
    }
    study = StudyFolder(folder, config)
    study.make()
    return study


def table(study, name):
    return pd.read_parquet(study.results / "tables" / f"{name}.parquet")


def test_only_the_own_models_are_in_shells(mixed):
    made = set(mixed.manifests())
    assert {f"models/{name}.json" for name in OWN + OTHERS} == {n for n in made if n.startswith("models/")}
    assert {f"cards/{name}.json" for name in OWN + OTHERS} == {n for n in made if n.startswith("cards/")}
    for folder in ("probes/inverted", "activations/natural", "activations/inverted"):
        assert {f"{folder}/{name}.json" for name in OWN} == {n for n in made if n.startswith(f"{folder}/")}
    assert {name for name in made if name.startswith(("dataset", "probes/natural"))} == {
        *("dataset.json", "dataset.colours.json", "probes/natural.json")
    }
    assert "Nothing to be done" in mixed.run("--dry-run").stdout


def test_other_tasks_have_a_table_of_their_own(mixed):
    others = table(mixed, "other_models").set_index("name")
    assert list(others.index) == OTHERS
    assert set(others["dataset"]) == {"colours"}
    assert others.loc["colours", "clean_accuracy"] > 0.8, "it can tell red, green and blue apart"
    assert others.loc["painted", "clean_accuracy"] < 0.7, "nobody taught it to"
    assert list(others["size"]) == [12, 12]
    assert set(others["evaluated"]) == {30}
    assert set(others.reset_index().columns) == set(COLUMNS["other_models"])
    described = table(mixed, "dictionary").query("table == 'other_models'")["column"]
    assert set(described) == set(COLUMNS["other_models"])
    for name in ("models", "similarity", "clusters"):
        text = table(mixed, name).astype(str)
        assert not text.isin(OTHERS).any(axis=None), name


def test_what_has_no_weights_is_compared_by_the_table_alone(mixed):
    models = table(mixed, "models").set_index("name")
    assert sorted(models.index) == sorted(OWN + UNSEEN)
    assert models.loc[OWN, "clean_accuracy"].notna().all()
    assert models.loc[UNSEEN, ["clean_accuracy", "inversion_failed", "parameters"]].isna().all(axis=None)
    places = (
        table(mixed, "clusters").groupby("measure")["model"].agg(lambda names: sorted(set(names))).to_dict()
    )
    assert places == {"linear_cka": sorted(OWN), "imported_similarity.paper": sorted(OWN + UNSEEN)}
    found = table(mixed, "clusters").query("kind == 'imported'").set_index("model")["cluster"]
    assert found["vgg-0"] == found["unseen-a"] != found["mlp-0"] == found["unseen-b"]
    assert set(table(mixed, "ensemble_pairs")[["model_a", "model_b"]].to_numpy().flat) == set(OWN)
    assert list(table(mixed, "components")["model"]) == OWN
    scores = table(mixed, "component_scores")
    assert set(scores["models"]) == {2}, "the others' components are not known"


def test_the_own_models_are_trained_as_without_the_others(mixed, finished):
    ours, theirs = mixed.digests(), finished.digests()
    for name in OWN:
        assert ours[f"models/{name}.json"] == theirs[f"models/{name}.json"]
        assert ours[f"probes/inverted/{name}.json"] == theirs[f"probes/inverted/{name}.json"]


def test_it_is_verified_and_its_cost_is_known(mixed):
    done = mixed.run("--cores", "1", "verify")
    assert done.returncode == 0, done.stdout[-2000:]
    done = mixed.run("--cores", "1", "plan")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "One more model like the last" in done.stdout


def test_a_model_of_another_task_more_touches_no_table_of_the_study(mixed, tmp_path):
    study = mixed.copied(tmp_path / "study")
    study.config["models"].append({**study.config["models"][1], "name": "colours-b"})
    planned = study.planned()
    assert set(planned) == {"train", "evaluate", "other_models", "explorer", "all", "total"}
