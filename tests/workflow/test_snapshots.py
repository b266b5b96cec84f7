"""Snapshots of a study: left by training or made later, those of the study's model or none."""

import os
import signal
import time
import zipfile

import faults
import pandas as pd
import pytest
from conftest import TINY, StudyFolder

from modelkin.networks.card import weights_digest
from modelkin.networks.weights import load_model, load_snapshot, write_model
from modelkin.operations.data_dictionary import COLUMNS
from modelkin.operations.stages import VERSIONS
from modelkin.store import manifests
from modelkin.training.snapshots import left_beside

MODEL = "mlp-0.5"
OWN = {"snapshots", "evaluate_snapshots", "training_epochs"}
AGAIN = "training 'mlp-0.5' again"
# Raise a stage's version, and these with it, when its results change.
PINNED = {"snapshots": 1, "evaluate_snapshots": 1, "training_epochs": 1}
NUMBERS = {"train_loss": 1.5536, "test_adversarial_accuracy": 0.43}


def asking(study: StudyFolder, epochs) -> StudyFolder:
    """The study, from now on with snapshots of one model."""
    (entry,) = [entry for entry in study.config["models"] if entry["name"] == MODEL]
    entry["training"] = {"snapshots": epochs}
    return study


def log_of(study: StudyFolder) -> str:
    return (study.results / "logs" / "snapshots" / f"{MODEL}.log").read_text()


@pytest.fixture(scope="module")
def asked_later(finished, tmp_path_factory):
    """The finished study, and what was planned and made when it asked for snapshots."""
    study = asking(finished.copied(tmp_path_factory.mktemp("later") / "study"), [0, 2])
    before, planned = study.stamps(), study.planned()
    study.make()
    return study, before, planned


@pytest.fixture(scope="module")
def asked_first(tmp_path_factory):
    """A study that asks from the beginning, as far as its snapshots."""
    folder = tmp_path_factory.mktemp("first")
    study = asking(StudyFolder(folder, TINY), [0, 2])
    study.make("--until", "training_epochs")
    return study


def test_asked_later_only_they_are_made(asked_later):
    study, before, planned = asked_later
    assert planned == dict.fromkeys([*OWN, "dictionary", "explorer", "all"], 1) | {"total": 6}
    assert AGAIN in log_of(study)
    described = {f"tables/{name}.json" for name in ("dictionary", "measures", "README")} | {"explorer.json"}
    after = study.stamps()
    assert all(after[name] == stamp for name, stamp in before.items() if name not in described)
    assert after.keys() - before.keys() == {
        f"snapshots/{MODEL}.json",
        f"snapshot_evaluations/{MODEL}.json",
        "tables/training_epochs.json",
    }
    assert study.planned() == {}


def test_training_leaves_those_that_are_asked_for_first(asked_first, asked_later):
    assert AGAIN not in log_of(asked_first)
    first, later = asked_first.digests(), asked_later[0].digests()
    own = [name for name in first if name.startswith("snapshot") or name == "tables/training_epochs.json"]
    assert len(own) == 3
    assert {name: first[name] for name in own} == {name: later[name] for name in own}
    assert not list((asked_first.results / "models").glob(".*"))


def test_the_last_snapshot_is_the_model(asked_first):
    snapshots, model = (asked_first.results / what / f"{MODEL}.json" for what in ("snapshots", "models"))
    last = load_snapshot(snapshots, 2)
    assert weights_digest(last.network) == manifests.read(model)["facts"]["weights"]
    assert weights_digest(load_snapshot(snapshots, 0).network) != weights_digest(last.network)


def test_the_table_is_described_and_its_numbers_change_only_with_the_version(asked_later):
    table = pd.read_parquet(asked_later[0].results / "tables" / "training_epochs.parquet")
    assert list(table.columns) == list(COLUMNS["training_epochs"])
    described = pd.read_parquet(asked_later[0].results / "tables" / "dictionary.parquet")
    assert set(described.query("table == 'training_epochs'")["column"]) == set(table.columns)
    assert table[["model", "epoch"]].to_numpy().tolist() == [[MODEL, 0], [MODEL, 2]]
    assert table["train_images"].tolist() == [1697, 1697]
    assert table["test_images"].tolist() == [100, 100]
    cards = pd.read_parquet(asked_later[0].results / "tables" / "models.parquet").set_index("name")
    last = table.iloc[-1]
    assert last["test_accuracy"] == pytest.approx(cards.loc[MODEL, "clean_accuracy"])
    assert last["test_adversarial_accuracy"] == pytest.approx(cards.loc[MODEL, "adversarial_accuracy"])
    assert {stage: VERSIONS[stage] for stage in PINNED} == PINNED
    for column, value in NUMBERS.items():
        assert table[column].mean() == pytest.approx(value, rel=0.05, abs=0.02), column


def test_a_study_with_snapshots_verifies_and_is_bundled(asked_later):
    study, _, _ = asked_later
    done = study.run("--cores", "1", "verify")
    assert done.returncode == 0, done.stdout
    study.config["bundle"] = {"without": ["checkpoints"]}
    study.make("bundle")
    with zipfile.ZipFile(study.folder / "results" / "tiny.zip") as archive:
        names = {name for name in archive.namelist() if "/snapshots/" in name}
    assert names == {f"results/tiny/snapshots/{MODEL}.{end}" for end in ("json", "left_out")}


def test_fewer_epochs_train_nothing_and_more_train_again(asked_first, tmp_path):
    study = asking(asked_first.copied(tmp_path / "study"), [2])
    study.make("--until", "snapshots")
    assert AGAIN not in log_of(study)
    assert [path.name for path in (study.results / "snapshots" / MODEL).glob("*.safetensors")] == [
        "2.safetensors"
    ]
    asking(study, "all").make("--until", "snapshots")
    assert AGAIN in log_of(study)
    made = manifests.read(study.results / "snapshots" / f"{MODEL}.json")
    assert made["facts"]["epochs"] == [0, 1, 2]
    # Nothing that was trained before was trained again.
    kept = asked_first.stamps()
    assert {name: study.stamps()[name] for name in kept if name.startswith("models/")} == {
        name: stamp for name, stamp in kept.items() if name.startswith("models/")
    }


def test_those_of_another_training_are_refused(asked_first, tmp_path):
    """As where training does not repeat itself: the model's weights are not those that come out now."""
    study = asked_first.copied(tmp_path / "study")
    manifest = study.results / "models" / f"{MODEL}.json"
    model, made = load_model(manifest), manifests.read(manifest)
    model.network[1].bias[0] += 1e-6
    about = {key: made[key] for key in ("stage", "version", "settings", "device")}
    write_model(manifest, model, [], inputs=[study.results / "dataset.json"], **about)
    done = study.run("--cores", "2", "--until", "snapshots")
    assert done.returncode != 0
    assert f"'{MODEL}' came out otherwise when it was trained again" in done.stdout
    assert f"delete results/tiny/models/{MODEL}.json and run again" in done.stdout
    assert not (study.results / "snapshots" / f"{MODEL}.json").exists()
    assert not left_beside(manifest).exists()
    manifest.unlink()
    study.make("--until", "snapshots")
    assert AGAIN not in log_of(study)
    assert study.digests()[f"snapshots/{MODEL}.json"] == asked_first.digests()[f"snapshots/{MODEL}.json"]


@pytest.mark.parametrize("rule", ["train", "snapshots"])
def test_killed_in_the_middle_nothing_looks_finished(asked_first, tmp_path, rule):
    study = asked_first.copied(tmp_path / "study")
    model, kept = (study.results / what / f"{MODEL}.json" for what in ("models", "snapshots"))
    manifests.remove(kept, "")
    if rule == "train":
        manifests.remove(model, "")
    run, deadline = faults.started(study, "--until", "snapshots"), time.monotonic() + 300
    while not (left_beside(model) / "0.safetensors").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    while faults.jobs_of(study):
        time.sleep(0.05)
    assert not kept.exists()
    faults.unlock(study)
    study.make("--until", "training_epochs")
    expected = asked_first.digests()
    assert {name: digest for name, digest in study.digests().items() if name in expected} == expected
    assert not list((study.results / "models").glob(".*"))


def test_a_study_that_asks_for_nothing_has_no_such_rule(finished):
    assert not OWN & {path.name for path in (finished.results / "logs").iterdir()}
    assert not list((finished.results / "models").glob(".*"))
