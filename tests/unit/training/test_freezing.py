"""First blocks that are trained no further."""

import pytest
import torch
from torch import nn

from modelkin.data import datasets
from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier
from modelkin.training import fit
from modelkin.training.freezing import Freezing
from modelkin.training.schedule import Schedule

SCHEDULE = Schedule(3, 50, 0.05, 1e-2, optimiser="sgd", schedule="constant")


@pytest.fixture(scope="module")
def images():
    return datasets.load("digits", size=8, test=1600)["train"].pick(slice(0, 150))


def normed():
    """Two blocks, each with a batch norm, and a head."""
    torch.manual_seed(0)
    blocks = [(1, 4), (4, 4)]
    layers = [
        each for a, b in blocks for each in (nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())
    ]
    return Classifier(nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10)), "7", [0.0], [1.0], 8)


def trained(images, freeze=(), model=None):
    """The states after each epoch of a short training."""
    model, states = model or normed(), []
    torch.manual_seed(1)
    against = lambda model, x, y, share: (nn.functional.cross_entropy(logits := model(x), y), logits)  # noqa: E731
    for _ in fit.fit(model, images, against, SCHEDULE, test=None, freeze=freeze):
        states.append({name: value.clone() for name, value in model.network.state_dict().items()})
    return states


def changed(states, epoch):
    return {name for name in states[0] if not torch.equal(states[epoch][name], states[epoch - 1][name])}


def test_frozen_blocks_keep_every_bit_and_the_others_go_on(images):
    states = trained(images, [Freezing(1, after=1), Freezing(2, after=2)])
    free = trained(images)
    assert all(torch.equal(states[0][name], free[0][name]) for name in free[0])
    first, second = ({name for name in free[0] if name[0] in digits} for digits in ("01", "34"))
    assert changed(states, 1) == free[0].keys() - first
    assert changed(states, 2) == free[0].keys() - first - second
    assert changed(free, 2) == free[0].keys()


def test_the_first_epoch_can_be_frozen_already(images):
    at_start = {name: value.clone() for name, value in normed().network.state_dict().items()}
    (*_, last) = trained(images, [Freezing(1, after=0)])
    assert {name for name in last if torch.equal(last[name], at_start[name])} == {
        name for name in last if name[0] in "01"
    }


def test_blocks_that_are_not_there(images):
    with pytest.raises(ModelkinError, match="no block 3 to freeze; the network has 2 that end .* at 2, 5"):
        trained(images, [Freezing(3, after=1)])
