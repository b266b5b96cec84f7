"""What all architectures have in common; a new one is checked as soon as its module is there."""

import importlib

import contracts
import pytest
import torch
from torch import nn

from modelkin.errors import ModelkinError
from modelkin.networks import architectures

SHAPES = [(1, 8), (3, 16)]


def test_a_module_is_an_architecture():
    contracts.check_registered(architectures, architectures.names())


@pytest.mark.parametrize(("channels", "size"), SHAPES)
@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture(name, channels, size):
    module = importlib.import_module(f"{architectures.__name__}.{name}")
    contracts.check_documented(module)
    contracts.check_documented(module.build)
    contracts.check_architecture(module.build, channels, size)
    contracts.check_as_classifier(name, channels, size)


# the checks themselves


class Batchwise(nn.Module):
    """Features of an image less those of the mean image."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.map = nn.Linear(inputs, outputs)

    def forward(self, x):
        found = self.map(x.flatten(1))
        return found - found.mean(0)


class Unused(Batchwise):
    """It has a layer through which nothing passes."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        return self.map(x.flatten(1))


def blind(channels, size, width, representation):
    network = nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, representation))
    nn.init.zeros_(network[1].weight)
    return network


WRONG = {
    "too wide": lambda c, s, w, r: nn.Sequential(nn.Flatten(), nn.Linear(c * s**2, r + 1)),
    "of its batch": lambda c, s, w, r: Batchwise(c * s**2, r),
    "with a spare layer": lambda c, s, w, r: Unused(c * s**2, r),
    "blind": blind,
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_architecture_is_found(what):
    with pytest.raises(AssertionError):
        contracts.check_architecture(WRONG[what], 1, 8)


def test_a_plain_linear_map_would_be_one():
    torch.manual_seed(0)
    contracts.check_architecture(lambda c, s, w, r: nn.Sequential(nn.Flatten(), nn.Linear(c * s**2, r)), 1, 8)


@pytest.mark.parametrize("name", architectures.names())
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_small_images_give_a_network_or_a_sentence(name, size):
    def make():
        return architectures.build(name, channels=1, size=size, width=4, representation=8)

    if size in {"mixer": (4,), "vit": (4,), "vgg": (4, 5)}.get(name, (1, 2, 3, 4, 5)):
        assert make()(torch.rand(3, 1, size, size)).shape == (3, 8)
    else:
        with pytest.raises(ModelkinError, match=f"{name} takes images .* these have {size}"):
            make()
