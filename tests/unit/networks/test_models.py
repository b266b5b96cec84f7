"""Models on disk: the same model comes back, and what is damaged is refused."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks import building
from modelkin.networks.weights import WEIGHTS, load_model, training_history, write_model


@pytest.fixture
def stored(standard, tmp_path):
    model, history = standard
    manifest = tmp_path / "model.json"
    write_model(manifest, model, history, stage="train", version=1, device="cpu")
    return manifest


def test_a_stored_model_is_the_same_model(stored, standard, digits):
    x = torch.from_numpy(digits["test"].pixels[:5])
    assert torch.equal(load_model(stored)(x), standard[0](x))
    assert training_history(stored) == standard[1]


def test_nan_weights_are_refused(stored):
    path = stored.with_suffix("") / WEIGHTS
    weights = load_file(path)
    weights["network.1.weight"][0, 0] = torch.nan
    save_file(weights, path)
    with pytest.raises(ModelkinError, match="NaN or infinite values, first in 'network.1.weight'"):
        load_model(stored)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"<html>" + b])
def test_damaged_weights_are_refused(stored, damage):
    path = stored.with_suffix("") / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelkinError, match="cannot be used"):
        load_model(stored)


def test_weights_that_do_not_fit_are_refused(stored):
    path = stored.with_suffix("") / WEIGHTS
    save_file({"network.1.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ModelkinError, match="cannot be used"):
        load_model(stored)


def test_a_wrong_number_of_classes_is_refused(standard, digits):
    test = digits["test"]
    more = Images(test.pixels, test.labels, test.ids, [*test.classes, "eleventh"])
    with pytest.raises(ModelkinError, match="but the dataset has 11 classes"):
        building.check_fits(standard[0], more, "vgg")
