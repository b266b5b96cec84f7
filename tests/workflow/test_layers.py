"""Layers compared in a study: what is made, what an added section leaves alone, and a killed job."""

import os
import re
import signal
import time

import faults
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from modelkin.operations import data_dictionary, stages
from modelkin.store import arrays, manifests
from modelkin.study.config import Study

LAYERS = {
    "maps": [{"models": ["vgg-0", "vgg-0.5"]}, {"between": [["vgg-0.5", "vgg-0"]]}],
    "images": ["natural", "adversarial"],
    "features": ["all", "pooled"],
    "procrustes": [["vgg-0.5", "vgg-0"], ["vgg-0", "vgg-0"]],
    "estimator": {"batch": 20, "passes": 2},
    "snapshots": {"models": ["vgg-0.5"], "against": "all"},
}
OWN = {"layers_within": 2, "layers_between": 1, "layers_snapshots": 1, "layer_tables": 1}
OF_SNAPSHOTS = {"snapshots": 1, "evaluate_snapshots": 1, "training_epochs": 1}
FIGURES = [f"layer_{name}" for name in ("maps", "adversarial", "transfer", "epochs", "epoch_pairs")]
# Raise a stage's version, and these with it, when its results change.
PINNED = {"layers_within": 1, "layers_between": 1, "layers_snapshots": 2, "layer_tables": 1}
NUMBERS = {"off_diagonal": 0.7181, "same_layer": 0.7516}


def asking(study):
    study.config["layers"] = LAYERS
    study.config["models"][2]["training"] = {"snapshots": [0, 1, 2]}
    return study


@pytest.fixture(scope="module")
def asked(finished, tmp_path_factory):
    """The finished study, and what was planned and there when it asked for layers."""
    study = asking(finished.copied(tmp_path_factory.mktemp("layers") / "study"))
    before, planned = study.stamps(), study.planned()
    study.make()
    return study, before, planned


def table(study, name):
    return pd.read_parquet(study.results / "tables" / f"{name}.parquet")


def test_a_finished_study_that_asks_for_layers_makes_only_them(asked):
    study, before, planned = asked
    figures = {f"figure_{name}": 1 for name in FIGURES}
    assert planned == OWN | OF_SNAPSHOTS | figures | {
        "dictionary": 1,
        "explorer": 1,
        "all": 1,
        "total": sum(planned.values()) // 2,
    }
    of_tables = {"explorer.json", *(f"tables/{name}.json" for name in ("dictionary", "measures", "README"))}
    after = study.stamps()
    assert all(after[name] == stamp for name, stamp in before.items() if name not in of_tables)
    assert study.planned() == {}
    assert study.run("--cores", "1", "verify").returncode == 0


def test_tables_have_the_columns_of_the_dictionary(asked):
    names = stages.get("layer_tables").table_names(Study(asked[0].config))
    assert len(names) == 8
    for name in names:
        assert list(table(asked[0], name).columns) == list(data_dictionary.COLUMNS[name]), name


def test_every_number_stands_beside_its_baselines(asked):
    maps = table(asked[0], "layer_maps")
    trained = maps[maps["snapshot"].isna()]
    assert trained[["value", "stderr", "chance", "untrained"]].notna().all(axis=None)
    assert (maps["n"] == 60).all()
    rotated = trained["measure"] == "layer_procrustes"  # which has no unbiased estimator
    assert trained.loc[~rotated, "chance"].abs().mean() < 0.1
    pairs = trained.loc[rotated, ["model_a", "model_b", "kind"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [["vgg-0", "vgg-0", "natural"], ["vgg-0", "vgg-0.5", "natural"]]
    within = trained.query("model_a == model_b and kind_a == kind and layer_a == layer_b")
    assert np.allclose(within["value"], 1)
    cards = table(asked[0], "models").set_index("name")
    seen = table(asked[0], "layer_adversarial").drop_duplicates("model").set_index("model")
    assert (seen["robust_accuracy"] < seen["accuracy"]).all()
    assert set(seen.index) <= set(cards.index)
    transfer = table(asked[0], "layer_transfer")
    assert set(zip(transfer["source"], transfer["target"], strict=True)) == {
        ("vgg-0", "vgg-0.5"),
        ("vgg-0.5", "vgg-0"),
    }
    assert table(asked[0], "layer_transfer_ranks")["spearman_adversarial"].isna().all()  # of two pairs


def test_the_last_snapshot_is_the_model_itself(asked):
    epochs = table(asked[0], "layer_epochs")
    assert np.allclose(epochs.query("epoch == 2")["to_last"], 1)
    assert (epochs.query("epoch == 0")["to_last"] < 1).all()
    assert epochs.query("epoch == 2")["to_next"].isna().all()


def test_numbers_change_only_with_the_version(asked):
    summary = table(asked[0], "layer_summary")
    assert {name: stages.VERSIONS[name] for name in PINNED} == PINNED
    for statistic, value in NUMBERS.items():
        found = summary.query("statistic == @statistic and measure == 'layer_cka'")["value"].mean()
        assert found == pytest.approx(value, abs=0.02), statistic


def test_a_killed_job_goes_on_with_the_batches_that_it_has(asked, tmp_path):
    study = asked[0].copied(tmp_path / "study")
    made = study.results / "layers" / "between" / "vgg-0" / "vgg-0.5.json"
    expected = manifests.read(made)["digest"]
    manifests.remove(made, manifests.read(made)["suffix"])
    run, parts = faults.started(study, "--until", "layers_between"), made.with_name(".vgg-0.5.parts")
    deadline = time.monotonic() + 300
    while not (parts / "1.zarr").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    while faults.jobs_of(study):
        time.sleep(0.05)
    assert not made.exists()
    assert arrays.open_dataset(parts / "0.zarr").sizes["sample"] == 1
    faults.unlock(study)
    study.make("--until", "layers_between")
    log = study.results / "logs" / "layers_between" / "vgg-0" / "vgg-0.5.log"
    assert "batch 1.1 is there from an earlier start" in log.read_text()
    assert manifests.read(made)["digest"] == expected


def test_the_examples_of_the_page_run(asked, monkeypatch, capsys):
    monkeypatch.chdir(asked[0].folder)
    page = (ROOT / "docs" / "layers.md").read_text()
    for old, new in {
        "digits": "tiny",
        "residual": "vgg",
        "(0, 1)": "(0, 0.5)",
        "batch=125": "batch=20",
    }.items():
        page = page.replace(old, new)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "layers.md", "exec"), names)
    assert "stage_a" in capsys.readouterr().out


def test_a_study_that_asks_for_none_has_no_such_job(finished):
    assert not OWN.keys() & {path.name for path in (finished.results / "logs").iterdir()}
