"""Inversion reaches its target, in parts as a whole, and says when it cannot."""

import numpy as np
import pytest
import torch

from modelkin import seeds
from modelkin.data.probes import seed_target_pairs
from modelkin.errors import ModelkinError
from modelkin.networks import building, classifier
from modelkin.optimise import inversion


def seed_and_target(digits, n=30):
    test = digits["test"]
    drawn = seed_target_pairs(test, n, seeds.generator(0, "pairs"))
    assert (drawn["seed_label"] != drawn["target_label"]).all()
    assert drawn["sample"].is_unique
    return drawn, *(torch.from_numpy(test.floats(test.rows(drawn[role]))) for role in ("seed", "target"))


def test_inversion_reaches_the_target(digits, standard):
    model, _ = standard
    drawn, start, target = seed_and_target(digits)
    found = inversion.invert(model, start, target, inversion.published(150, 0.4, schedule="cosine"))
    wanted, reached = model.representation(target), model.representation(found.images)
    by_hand = (reached - wanted).norm(dim=1) / wanted.norm(dim=1)
    assert torch.allclose(found.loss, by_hand, atol=1e-4)
    assert found.facts()["median_loss"] < 0.1
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    kept = found.to_dataset(drawn, digits["test"].classes)
    assert kept["image"].dtype == np.float32
    assert kept["sample"].to_numpy().tolist() == drawn["sample"].tolist()


def test_inversion_of_a_dead_model_is_an_error(digits):
    _, start, target = seed_and_target(digits, 3)
    dead = building.new_model("mlp", channels=1, size=8, classes=10, width=2, representation=4)
    with torch.no_grad():
        for parameter in dead.network[0].parameters():
            parameter.zero_()
    with pytest.raises(ModelkinError, match="zero for 3 of 3 targets"):
        inversion.invert(classifier.frozen(dead), start, target)


def test_inversions_in_parts_are_those_of_each_part(digits, standard, monkeypatch):
    """Parts keep large probes out of memory; each is inverted as if it stood alone."""
    model, test = standard[0], digits["test"]
    drawn = seed_target_pairs(test, 10, np.random.default_rng(0))
    descent = inversion.published(5, 0.4)
    told = []
    monkeypatch.setattr(inversion, "PART_BYTES", 4 * 64 * 4)
    parts = inversion.inversion_parts(model, test, drawn, descent, progress=lambda *said: told.append(said))
    said = [compute() for compute in parts]
    assert [part.sizes["sample"] for part in said] == [4, 4, 2]
    assert said[1]["sample"].values.tolist() == drawn["sample"].tolist()[4:8]
    x = [torch.from_numpy(test.floats(test.rows(drawn[role]))) for role in ("seed", "target")]
    alone = inversion.invert(model, *(images[4:8] for images in x), descent)
    assert np.array_equal(said[1]["image"].values, alone.images.numpy())
    whole = inversion.Inverted.joined([inversion.Inverted.told(stored) for stored in said])
    assert len(whole.loss) == whole.facts()["images"] == 10
    assert told[-1][0] == 10
    assert told[-1][1] == 10 * 6, "five steps and a last look for each image"
    *_, last = inversion.inversion_parts(model, test, drawn, descent)
    assert last().identical(said[2]), "a part does not depend on those before it"
