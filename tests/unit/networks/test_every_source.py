"""What all sources have in common; a new one is checked as soon as its module and an example are there.

Nothing is downloaded: the examples are random weights in local files, or a stand-in for a library.
"""

import sys
import types

import contracts
import pytest
import torch
from torch import nn

from modelkin.networks import sources

CLASSES = 10
FUNCTIONS = ("files", "check", "take", "blank", "network")
OWN = """
from torch import nn


def linear(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, classes))
"""


def kept(network, folder):
    torch.save(network.state_dict(), folder / "weights.pt")
    return str(folder / "weights.pt")


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, CLASSES))


def file(folder, monkeypatch):
    (folder / "own.py").write_text(OWN)
    return {"architecture": f"{folder / 'own.py'}:linear", "weights": kept(linear(), folder)}


def timm(folder, monkeypatch):
    import timm

    network = timm.create_model("resnet10t", num_classes=CLASSES)
    return {"architecture": "resnet10t", "weights": kept(network, folder)}


def torchvision(folder, monkeypatch):
    import torchvision

    network = torchvision.models.squeezenet1_1(weights=None, num_classes=CLASSES)
    return {"architecture": "squeezenet1_1", "weights": kept(network, folder)}


def robustness(folder, monkeypatch):
    """A checkpoint as the library writes it: the model twice, beside its normalisation."""
    import torchvision

    inner = torchvision.models.squeezenet1_1(weights=None, num_classes=CLASSES).state_dict()
    whole = {f"module.model.{key}": value for key, value in inner.items()}
    for name, value in (("mean", 0.5), ("std", 0.25)):
        whole[f"module.normalizer.new_{name}"] = torch.full((3, 1, 1), value)
    torch.save({"model": whole}, folder / "weights.pt")
    return {"architecture": "imagenet/squeezenet1_1", "weights": str(folder / "weights.pt")}


def robustbench(folder, monkeypatch):
    """The package is not installed, so one that has a single model stands in, whose name tells no shape."""
    utils = types.ModuleType("robustbench.utils")
    utils.load_model = lambda *arguments, **more: linear()
    monkeypatch.setitem(sys.modules, "robustbench", types.ModuleType("robustbench"))
    monkeypatch.setitem(sys.modules, "robustbench.utils", utils)
    return {"architecture": "Carmon2019Unlabeled"}


EXAMPLES = {
    "file": file,
    "timm": timm,
    "torchvision": torchvision,
    "robustness": robustness,
    "robustbench": robustbench,
}


def test_a_module_is_a_source():
    contracts.check_registered(sources, sources.names())


@pytest.mark.parametrize("name", sources.names())
def test_every_source_says_what_it_takes(name):
    source = sources.get(name)
    contracts.check_source_described(source)
    for function in FUNCTIONS:
        contracts.check_documented(getattr(source, function))


@pytest.mark.parametrize("name", sources.names())
def test_every_source(name, tmp_path, monkeypatch):
    assert name in EXAMPLES, "give a small example of it here"
    torch.manual_seed(0)
    contracts.check_source(sources.get(name), CLASSES, EXAMPLES[name](tmp_path, monkeypatch))


# the checks themselves


def made(**changed):
    """A source of one linear network."""

    def take(classes, architecture):
        return sources.Taken(linear(), "here", {"architecture": architecture}, size=32)

    found = {
        "__doc__": "Models that are made where they are asked for.",
        "KEYS": frozenset({"architecture"}),
        "REQUIRED": ("architecture",),
        "files": lambda entry: [],
        "check": lambda entry: None,
        "take": take,
        "blank": lambda classes, architecture, options: (linear(), 32),
        "network": lambda architecture: linear(),
    }
    return types.SimpleNamespace(**found | changed)


WIDER = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, CLASSES + 1))
WRONG = {
    "builds another network": made(network=lambda architecture: WIDER),
    "another blank one": made(blank=lambda classes, architecture, options: (WIDER, 32)),
    "another size": made(blank=lambda classes, architecture, options: (linear(), 64)),
    "names files that no entry names": made(files=lambda entry: ["weights.pt"]),
    "what it keeps is no JSON": made(
        take=lambda classes, architecture: sources.Taken(linear(), "here", {"architecture": linear}, size=32)
    ),
}


def test_the_source_from_which_the_wrong_ones_are_made_is_good():
    contracts.check_source(made(), CLASSES, {"architecture": "linear"})
    contracts.check_source_described(made())


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_source_is_found(what):
    with pytest.raises((AssertionError, RuntimeError, TypeError)):
        contracts.check_source(WRONG[what], CLASSES, {"architecture": "linear"})


def test_a_source_that_takes_other_keys_than_it_says_is_found():
    with pytest.raises(AssertionError):
        contracts.check_source_described(made(KEYS=frozenset({"architecture", "weights"})))
