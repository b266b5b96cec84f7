"""Snapshots are those of their model, whole and undamaged, or there are none."""

import copy
import json

import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from modelkin import load_snapshot
from modelkin.data import datasets
from modelkin.errors import ModelkinError
from modelkin.networks.card import weights_digest
from modelkin.networks.weights import load_model, write_model
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent
from modelkin.training import evaluation, fit, snapshots

SETTINGS = {
    **{"architecture": "vgg", "width": 4, "representation": 16, "recipe": "standard", "eps": 0},
    **{"norm": "l2", "epochs": 3, "batch_size": 64, "learning_rate": 6e-3, "weight_decay": 1e-4},
}
ATTACK = {"norm": "l2", "radius": 0.5, "steps": 3, "step_size": 0.25}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=8, test=1500)


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """A folder with a model, the snapshots 0, 1 and 3 that its training left, and its weights by epoch."""
    folder, every = tmp_path_factory.mktemp("models"), {}
    recorder = snapshots.SnapshotRecorder(snapshots.left_beside(folder / "vgg-0.5.json"), [0, 1, 3])

    def after_epoch(model, epoch):
        recorder(model, epoch)
        every[epoch] = copy.deepcopy(model.state_dict())

    model, history = fit.train(digits["train"], digits["test"], SETTINGS, seed=1, after_epoch=after_epoch)
    recorder.finish(model)
    write_model(folder / "vgg-0.5.json", model, history, stage="train", version=1)
    return folder, every


@pytest.fixture
def written(trained, tmp_path):
    """The manifest of the snapshots 0 and 3."""
    folder, _ = trained
    model = folder / "vgg-0.5.json"
    manifest = tmp_path / "snapshots" / "vgg-0.5.json"
    snapshots.write_snapshots(
        manifest, snapshots.left_beside(model), [0, 3], model, stage="snapshots", version=1, inputs=[model]
    )
    return manifest


def ended(trained) -> str:
    return weights_digest(load_model(trained[0] / "vgg-0.5.json").network)


def test_what_is_loaded_is_what_was_there_then(trained, written):
    for epoch in (0, 3):
        found = load_snapshot(written, epoch)
        assert not found.training
        assert not any(parameter.requires_grad for parameter in found.parameters())
        for name, value in trained[1][epoch].items():
            assert torch.equal(found.state_dict()[name], value), name
    last, model = load_snapshot(written, 3), load_model(trained[0] / "vgg-0.5.json")
    assert weights_digest(last.network) == weights_digest(model.network)
    assert weights_digest(load_snapshot(written, 0).network) != weights_digest(model.network)


def test_an_epoch_that_was_not_kept_names_those_that_were(written):
    for epoch in (1, 4, -1):
        with pytest.raises(ModelkinError, match=f"epoch {epoch} of 'vgg-0.5' was not kept; kept were 0, 3"):
            load_snapshot(written, epoch)


@pytest.mark.parametrize("damage", ["a bit", "cut short", "gone", "another epoch's"])
def test_damage_is_noticed(written, damage):
    path = written.parent / "vgg-0.5" / "3.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "a bit":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "cut short":
        path.write_bytes(content[:-9])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.with_name("0.safetensors").read_bytes())
    with pytest.raises(ModelkinError, match=r"delete .*snapshots/vgg-0.5.json and run again"):
        load_snapshot(written, 3)
    assert not snapshots.holds(
        path.parent, [3], json.loads((path.parent / snapshots.LIST).read_text())["weights"]
    )


def test_a_folder_holds_what_it_lists_of_its_own_model_alone(trained, written):
    left, model = snapshots.left_beside(trained[0] / "vgg-0.5.json"), ended(trained)
    assert snapshots.holds(left, [0, 1, 3], model)
    assert snapshots.holds(left, [1], model)
    assert not snapshots.holds(left, [0, 2], model)
    assert not snapshots.holds(left, [0], "another model's")
    assert not snapshots.holds(left.with_name("nowhere"), [0], model)
    # What was written is a source as well: of fewer epochs.
    assert snapshots.holds(written.with_suffix(""), [3], model)


def test_a_training_that_was_killed_left_nothing(trained, tmp_path):
    folder = tmp_path / "left"
    recorder = snapshots.SnapshotRecorder(folder, [0, 1])
    model = load_model(trained[0] / "vgg-0.5.json")
    recorder(model, 0)
    recorder(model, 1)
    assert not snapshots.holds(folder, [0, 1], ended(trained))
    recorder.finish(model)
    assert snapshots.holds(folder, [0, 1], ended(trained))
    # The next training begins with an empty folder, and without one if nothing is asked for.
    snapshots.SnapshotRecorder(folder, [1])
    assert not snapshots.holds(folder, [0], ended(trained))
    unasked = snapshots.SnapshotRecorder(folder, [])
    unasked(model, 0)
    unasked.finish(model)
    assert not folder.exists()


def test_losses_are_those_of_the_definition(trained, digits):
    model, images = load_model(trained[0] / "vgg-0.5.json"), digits["test"].spread(90)
    found = evaluation.losses_and_accuracies(model, images, **ATTACK)
    x, y = torch.from_numpy(images.floats()), torch.from_numpy(images.labels)
    attacked = untargeted(model, x, y, pgd_descent(*ATTACK.values()))
    for prefix, shown in (("", x), ("adversarial_", attacked)):
        logits = model(shown)
        assert found[f"{prefix}loss"] == pytest.approx(float(cross_entropy(logits, y)), rel=1e-5)
        assert found[f"{prefix}accuracy"] == pytest.approx(float((logits.argmax(1) == y).float().mean()))
    assert found["adversarial_loss"] > found["loss"]
    clean = evaluation.evaluate_model(model, images, **ATTACK)
    assert found["accuracy"] == pytest.approx(clean["clean_accuracy"])
    assert found["adversarial_accuracy"] == pytest.approx(clean["adversarial_accuracy"])


def test_a_row_says_how_many_images_it_is_over(trained, digits):
    splits = {"train": digits["train"].spread(50), "test": digits["test"].spread(20)}
    model = load_model(trained[0] / "vgg-0.5.json")
    row = pd.Series(snapshots.snapshot_row(model, splits, ATTACK, "cpu"))
    assert row[["train_images", "test_images"]].tolist() == [50, 20]
    alone = evaluation.losses_and_accuracies(model, splits["test"], **ATTACK)
    assert {key: row[f"test_{key}"] for key in alone} == alone
