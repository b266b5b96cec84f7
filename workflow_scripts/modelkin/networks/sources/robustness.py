"""Checkpoints of the robustness library and of robust-models-transfer, read without dill."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelkin import lazy
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import sources
from modelkin.networks.sources.base import library_text

if TYPE_CHECKING:
    from modelkin.networks import checkpoints
else:  # a config is checked without torch
    checkpoints = lazy.module("modelkin.networks.checkpoints")

KEYS = frozenset({"architecture", "weights", "sha256"})
REQUIRED = ("architecture", "weights")
SIZES = {"imagenet": 224, "cifar": 32}
# The library's AlexNet names its last layer otherwise; all that both have and that is not here is the same.
OWN = {"alexnet"}
# How the libraries' files name what builds a network.
BUILDER = r"^(def {0}\((pretrained|\*, weights|\*args, \*\*kwargs)|{0} = \w+$)"


def files(entry: Mapping[str, Any]) -> list[str]:
    """The checkpoint."""
    return [entry["weights"]]


def check(entry: Mapping[str, Any]) -> None:
    """ModelkinError unless the family is the library's, and the name torchvision's or its own."""
    family, name = _family(entry["architecture"])
    text = library_text("robustness", f"{family}_models")
    if family == "imagenet" and name not in OWN:
        text += library_text("torchvision", "models")
    if not re.search(BUILDER.format(re.escape(name)), text, re.MULTILINE):
        _check_name(family, name)


def take(classes: int, architecture: str, weights: str, *, sha256: str | None = None) -> sources.Taken:
    """architecture: 'imagenet/name' or 'cifar/name', as the library calls its models there.

    Normalisation is read from the checkpoint. Only tensors are read from it: whatever else its
    pickle holds is passed over, and none of its code is run.
    """

    found = checkpoints.read_checkpoint(weights, sha256=sha256, passing_over=True)
    inner = {name.removeprefix("model."): value for name, value in found.items() if name.startswith("model.")}
    network_ = network(architecture, classes)
    checkpoints.fit_to_network(network_, inner or found, weights)
    family, _ = _family(architecture)
    mean, std = (found.get(f"normalizer.new_{key}") for key in ("mean", "std"))
    return sources.Taken(
        network=network_,
        origin=str(weights),
        build={"architecture": architecture, "classes": classes},
        mean=None if mean is None else mean.flatten().tolist(),
        std=None if std is None else std.flatten().tolist(),
        size=SIZES[family],
    )


def blank(classes: int, architecture: str, options: Mapping[str, Any]):
    """The network with random weights, and its image size."""
    return network(architecture, classes), SIZES[_family(architecture)[0]]


def network(architecture: str, classes: int):
    """torchvision's network where it is the same as the library's, else the library's own."""
    from torchvision import models

    family, name = _family(architecture)
    if _is_torchvisions(family, name):
        return models.get_model(name, weights=None, num_classes=classes)
    _check_name(family, name)
    return _library(family)[name](num_classes=classes)


def _is_torchvisions(family: str, name: str) -> bool:
    from torchvision import models

    return family == "imagenet" and name not in OWN and name in models.list_models(module=models)


def _check_name(family: str, name: str) -> None:
    """ModelkinError unless an architecture of that family is torchvision's or the library's own."""
    if _is_torchvisions(family, name):
        return
    table = _library(family)
    if name not in table:
        raise unknown_name(f"architecture of the robustness library for {family}", name, table)


def known_names() -> list[str]:
    """The names of the library's own architectures, as its files have them."""
    named = {
        "cifar": re.findall(r"^(\w+) = \w+$", library_text("robustness", "cifar_models"), re.MULTILINE),
        "imagenet": re.findall(
            r"^def (\w+)\(pretrained", library_text("robustness", "imagenet_models"), re.MULTILINE
        ),
    }
    return [f"{family}/{name}" for family, names in named.items() for name in names if name.islower()]


def check_named(architecture: str, options: Mapping[str, Any]) -> None:
    """ModelkinError unless these, which may be a stranger's, name a family of the library and no options.

    The network itself is looked up in a table.
    """
    _family(architecture)
    if options:
        raise ModelkinError("a network of the robustness library is built without options.")


def _family(architecture: str) -> tuple[str, str]:
    family, _, name = architecture.rpartition("/")
    family = family or "imagenet"
    if family not in SIZES:
        raise unknown_name("family of the robustness library's models", family, SIZES)
    return family, name


def _library(family: str) -> dict[str, Any]:
    """The library's builders."""
    lend_missing_module()
    try:
        from robustness import cifar_models, imagenet_models
    except ImportError as error:
        raise ModelkinError(
            f"this architecture is the robustness library's own, which cannot be imported ({error}); "
            "install it: pip install robustness."
        ) from None
    module = {"imagenet": imagenet_models, "cifar": cifar_models}[family]
    return {
        name: value
        for name, value in vars(module).items()
        if callable(value)
        and name.islower()
        and name != "test"
        and getattr(value, "__module__", "").startswith(module.__name__)
    }


def lend_missing_module() -> None:
    """The library imports a module that torchvision no longer has; this must come before it is imported."""
    from torch.hub import load_state_dict_from_url

    lent = types.ModuleType("torchvision.models.utils")
    lent.__dict__["load_state_dict_from_url"] = load_state_dict_from_url
    sys.modules.setdefault(lent.__name__, lent)
