"""What a study rests on and Snakemake does not watch: files outside of it, and the order of its models."""

import json
import os
import shutil

import numpy as np
import pytest
from conftest import NEW_MODEL, TINY, StudyFolder

from modelkin.errors import ModelkinError
from modelkin.operations import changed_inputs
from modelkin.store.outside_files import OutsideFiles, WatchedFiles, describe_outside

# files, as they are watched


@pytest.fixture
def outside(tmp_path):
    (tmp_path / "images" / "cat").mkdir(parents=True)
    for name in ("images/cat/1.png", "images/cat/2.png", "nets.py"):
        (tmp_path / name).write_text(f"of {name}")
    return tmp_path


def rewritten(path, text):
    """Other content of the same size and, by the clock that copies keep, the same age."""
    status = path.stat()
    path.write_text(text)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = {
    "other content": lambda folder: (folder / "images/cat/1.png").write_text("something"),
    "the same size and time": lambda folder: rewritten(folder / "images/cat/1.png", "of images/cat/9.png"),
    "one file more": lambda folder: (folder / "images/cat/3.png").write_text("x"),
    "one file less": lambda folder: (folder / "images/cat/1.png").unlink(),
    "another name": lambda folder: (folder / "images/cat/1.png").rename(folder / "images/cat/0.png"),
    "an older file in its place": lambda folder: os.utime(
        (folder / "images/cat/1.png").rename(folder / "images/cat/0.png"), (1, 1)
    ),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("remembered", [False, True])
def test_a_change_in_a_folder_is_noticed(outside, what, remembered):
    memory = outside / "memory.json" if remembered else None
    was = describe_outside([outside / "images", outside / "nets.py", outside / "none"])
    assert list(was) == [str(outside / "images"), str(outside / "nets.py")]
    for _ in range(2):
        files = OutsideFiles(memory)
        assert files.changed(was) == []
        files.remember()
    CHANGES[what](outside)
    assert OutsideFiles(memory).changed(was) == [str(outside / "images")]


def test_what_is_the_same_is_not_read_again(outside, monkeypatch):
    was = describe_outside([outside / "images"])
    files = OutsideFiles(outside / "memory.json")
    files.changed(was)
    files.remember()
    monkeypatch.setattr("modelkin.store.outside_files.digest_of", None)
    assert OutsideFiles(outside / "memory.json").changed(was) == []


def test_what_is_only_touched_or_gone_has_not_changed(outside):
    was = describe_outside([outside / "images", outside / "nets.py"])
    os.utime(outside / "images/cat/1.png", (1, 1))
    (outside / "nets.py").unlink()
    assert OutsideFiles().changed(was) == []


def test_a_file_that_changes_while_it_is_read_is_refused(outside):
    watched = WatchedFiles([outside / "nets.py", outside / "downloaded"])
    (outside / "downloaded").write_text("x")
    assert set(watched.described()) == {str(outside / "nets.py"), str(outside / "downloaded")}
    (outside / "nets.py").write_text("x")
    with pytest.raises(ModelkinError, match="changed while it was read"):
        watched.described()


def test_a_memory_of_garbage_is_no_memory(outside):
    was = describe_outside([outside / "nets.py"])
    for text in ("", "[]", '{"x": 1}', "{"):
        (outside / "memory.json").write_text(text)
        assert OutsideFiles(outside / "memory.json").changed(was) == []


def test_what_rests_on_an_artifact():
    made = {
        "dataset.json": {"inputs": {}},
        "models/a.json": {"inputs": {"../dataset.json": "0"}},
        "cards/a.json": {"inputs": {"../models/a.json": "0"}},
        "models/b.json": {"inputs": {}},
        "broken.json": None,
    }
    assert changed_inputs.resting_on("dataset.json", made) == {"models/a.json", "cards/a.json"}


# in a study


@pytest.fixture
def own(tmp_path):
    """A study of own images, of which only the dataset and its probes are made."""
    rng = np.random.default_rng(0)
    config = {**TINY, "dataset": {"name": "npz", "test": "test.npz", "train": "test.npz"}}
    study = StudyFolder(tmp_path, config)
    write_images(study, rng)
    study.make("--until", "probes")
    return study


def write_images(study, rng):
    x, y = rng.integers(0, 255, (100, 8, 8), np.uint8), np.arange(100) % 10
    np.savez(study.folder / "test.npz", x=x, y=y)


def test_images_that_changed_in_place_are_never_mixed_with_new_results(own):
    manifest = own.results / "dataset.json"
    assert json.loads(manifest.read_text())["outside"]["test.npz"]["files"] == 1
    age = (own.folder / "test.npz").stat()
    write_images(own, np.random.default_rng(1))
    os.utime(own.folder / "test.npz", ns=(age.st_atime_ns - 10**12, age.st_mtime_ns - 10**12))
    said = "test.npz is not what results/tiny/dataset.json was made of; put back what was there"
    assert said in own.run("--dry-run").stdout
    done = own.run("--cores", "1", "results/tiny/models/mlp-0.json")
    assert done.returncode != 0
    assert said in done.stdout
    assert not (own.results / "models").exists()
    verified = own.run("--cores", "1", "verify").stdout
    assert (
        "stale     dataset.json: test.npz, of which it was made, changed since, and 2 artifacts" in verified
    )
    # What the sentence advises cures it.
    manifest.unlink()
    own.make("--until", "probes")
    assert "is not what" not in own.run("--dry-run").stdout


def test_a_study_of_an_earlier_version_stays_valid_and_verify_says_what_is_not_known(own):
    for name in ("dataset.json", "probes/natural.json", "probes/pairs.json"):
        strip_outside(own.results / name)
    write_images(own, np.random.default_rng(1))
    assert "dataset" not in own.planned()
    verified = own.run("--cores", "1", "verify").stdout
    assert "1 artifacts, first dataset.json, do not tell of which files outside they were made" in verified


def strip_outside(path):
    from modelkin.store import manifests

    made = manifests.read(path)
    made.pop("outside", None)
    made[manifests.OWN] = manifests.own_digest(made)
    status = path.stat()
    path.write_text(manifests.text_of(made))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("how", ["deleted", "reordered"])
def test_models_that_are_deleted_or_reordered_are_refused_with_advice(study, how):
    models = study.config["models"]
    if how == "deleted":
        models.pop(1)
        study.config["distillation"]["student"] = "mlp-0.5"
        said = (
            "model 'mlp-0' is gone from the config, where 'vgg-0.5' stood after vgg-0, mlp-0; put back, with"
        )
    else:
        models[1], models[2] = models[2], models[1]
        said = "the order is another in the config, where 'vgg-0.5' stood after vgg-0, mlp-0; put the models"
    assert said in study.run("--dry-run").stdout
    before = study.stamps()
    done = study.run("--cores", "1")
    assert done.returncode != 0
    assert said in done.stdout
    assert study.stamps() == before


def test_what_was_paid_for_is_not_refused(study):
    """Whoever deletes the shells that are named has the rest computed anew."""
    shutil.rmtree(study.results / "similarity")
    study.config["models"].reverse()
    assert "the order is another" not in study.run("--dry-run").stdout
    assert study.planned()["similarity"] == 4


def test_a_model_at_the_end_moves_nothing(study):
    study.config["models"].append(NEW_MODEL)
    assert "stood after" not in study.run("--dry-run").stdout
