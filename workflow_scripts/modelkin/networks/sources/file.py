"""A checkpoint of the user's own, for an architecture of their own, of timm or of torchvision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelkin import lazy
from modelkin.networks import architectures, sources

if TYPE_CHECKING:
    from modelkin.networks import checkpoints
else:  # a config is checked without torch
    checkpoints = lazy.module("modelkin.networks.checkpoints")

KEYS = frozenset({"architecture", "weights", "sha256", "trust_pickle", "options"})
REQUIRED = ("architecture", "weights")
LIBRARY = re.compile(r"(?P<source>timm|torchvision):(?P<name>[^/\\]+)$")


def files(entry: Mapping[str, Any]) -> list[str]:
    """The checkpoint."""
    return [entry["weights"]]


def check(entry: Mapping[str, Any]) -> None:
    """ModelkinError unless the library knows the architecture, or the own file is there and holds it."""
    library = LIBRARY.match(entry["architecture"])
    if library:
        sources.get(library["source"]).check({**entry, "architecture": library["name"]})
    else:
        architectures.check_callable(entry["architecture"])


def take(classes: int, architecture: str, weights: str, **more) -> sources.Taken:
    """architecture: 'timm:name', 'torchvision:name', 'path/to/file.py:callable' or '...:TABLE[key]'.

    options: keywords for the callable. sha256, trust_pickle: see
    :func:`modelkin.networks.checkpoints.read_checkpoint`.
    """

    library = LIBRARY.match(architecture)
    if library:
        taken = sources.get(library["source"]).take(classes, library["name"], weights, **more)
        return replace(taken, build={"library": library["source"], **taken.build})
    options = more.pop("options", {})
    found = network(architecture, options)
    checkpoints.fit_to_network(found, checkpoints.read_checkpoint(weights, **more), weights)
    return sources.Taken(found, str(weights), {"architecture": architecture, "options": options})


def blank(classes: int, architecture: str, options: Mapping[str, Any]):
    """The network with random weights, and its image size if it is a library's."""
    library = LIBRARY.match(architecture)
    if library:
        return sources.get(library["source"]).blank(classes, library["name"], options)
    return network(architecture, options), None


def network(
    architecture: str,
    options: Mapping[str, Any],
    library: str | None = None,
    sha256: str | None = None,
    **more,
):
    """The network of a user's own callable, or of a library.

    sha256: what the own file must have, else ModelkinError.
    """
    if library:
        return sources.get(library).network(architecture=architecture, options=options, **more)
    return architectures.custom(architecture, options, sha256)
