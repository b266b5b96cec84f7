"""Models of RobustBench's zoo by name, when that package is installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import sources
from modelkin.networks.sources.base import library_text

KEYS = frozenset({"architecture", "options"})
REQUIRED = ("architecture",)
DATASETS = {"cifar10": 32, "cifar100": 32, "imagenet": 224}
NAME = re.compile(r"""\(\s*['"](\w[\w+-]*)['"],\s*\{""")  # of a model, in the zoo's files


def files(entry: Mapping[str, Any]) -> list[str]:
    """None: the zoo keeps its own."""
    return []


def kept(entry: Mapping[str, Any]) -> list[str]:
    """Where the zoo keeps the checkpoint, and reads it from, once it has been downloaded."""
    options = complete_options(entry.get("options") or {})
    folder = PurePath(options.get("model_dir", "models"), options["dataset"], options["threat_model"])
    return [str(folder / f"{entry['architecture']}.pt")]


def missing(entry: Mapping[str, Any]) -> list[str]:
    """A sentence if the package is not installed."""
    return [] if library_text("robustbench", "model_zoo") else [f"{_lacking()}."]


def check(entry: Mapping[str, Any]) -> None:
    """ModelkinError unless the zoo, if it is installed, has the model, and the dataset is one of its own."""
    options = complete_options(entry.get("options", {}))
    if options["dataset"] not in DATASETS:
        raise unknown_name("dataset of RobustBench", options["dataset"], DATASETS)
    name, text = entry["architecture"], library_text("robustbench", "model_zoo")
    if text and not re.search(rf"""['"]{re.escape(name)}['"]\s*[,:]""", text):
        raise unknown_name("model of RobustBench", name, NAME.findall(text), "modelkin models robustbench")


def known_names() -> list[str]:
    """The names of the zoo's models, as its files have them."""
    return NAME.findall(library_text("robustbench", "model_zoo"))


def _lacking() -> str:
    return (
        "source 'robustbench' needs the package robustbench, which is not installed; docs/config.md says how "
        "to install it"
    )


def take(classes: int, architecture: str, *, options: Mapping[str, Any] | None = None) -> sources.Taken:
    """architecture: a name of the zoo. options: dataset (default cifar10), threat_model (Linf), model_dir.

    The zoo's models normalise their images themselves.
    """
    options = complete_options(options or {})
    try:
        from robustbench.utils import load_model
    except ImportError as error:
        raise ModelkinError(
            f"source 'robustbench' needs the package robustbench, which cannot be imported ({error}); "
            "docs/config.md says how to install it."
        ) from None
    try:
        found = load_model(architecture, **options)
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelkinError(
            f"RobustBench's model '{architecture}' cannot be had ({reason}); check its name, its dataset and "
            "threat_model under `options`, and the network."
        ) from None
    return sources.Taken(
        network=found,
        origin=f"robustbench {architecture} ({options['dataset']}, {options['threat_model']})",
        build={"architecture": architecture, "options": options},
        size=DATASETS[options["dataset"]],
    )


def complete_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's options and the defaults of what it leaves out."""
    return {"dataset": "cifar10", "threat_model": "Linf", **options}


def blank(classes: int, architecture: str, options: Mapping[str, Any]):
    """A network of the shape that the name tells, since the zoo builds none without its weights.

    That is what it costs, not what it computes: activations and the order of norms may be others.
    """
    from torch import nn  # slow to import, and not needed to check a config

    from modelkin.networks.architectures import wide_residual

    size, made = DATASETS[complete_options(options)["dataset"]], None
    if architecture == "Standard" or "_28_10" in architecture:
        widths = {"width": 160, "representation": 640}
        made = nn.Sequential(wide_residual.build(3, size, **widths), nn.Linear(640, classes))
    elif re.search(r"_RN?18(_|$)", architecture):
        made = _small_resnet18(classes)
    if made is None or size != DATASETS["cifar10"]:
        raise ModelkinError(
            f"what RobustBench's '{architecture}' costs is not known before it is downloaded."
        )
    return made, size


def _small_resnet18(classes: int):
    """ResNet-18 for images of 32 pixels: a stem that does not make them smaller."""
    from torch import nn
    from torchvision.models import resnet18

    made = resnet18(num_classes=classes)
    made.conv1, made.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    return made


def network(architecture: str, options: Mapping[str, Any]):
    """The network of that name; its weights are read once more, for the zoo builds none without."""
    return take(0, architecture, options=options).network
