"""Models of RobustBench's zoo by name, when that package is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.networks import sources

KEYS = frozenset({"architecture", "options"})
REQUIRED = ("architecture",)
DATASETS = {"cifar10": 32, "cifar100": 32, "imagenet": 224}


def files(entry: Mapping[str, Any]) -> list[str]:
    """None: the zoo keeps its own."""
    return []


def check(entry: Mapping[str, Any]) -> None:
    """Nothing can be known before the package is asked."""


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
    """The zoo builds no network without its weights."""
    raise ModelkinError(f"what RobustBench's '{architecture}' costs is not known before it is downloaded.")


def network(architecture: str, options: Mapping[str, Any]):
    """The network of that name; its weights are read once more, for the zoo builds none without."""
    return take(0, architecture, options=options).network
