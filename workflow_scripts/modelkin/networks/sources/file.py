"""A checkpoint of the user's own, for an architecture of their own, of timm or of torchvision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelkin.networks import architectures, sources
from modelkin.networks.checkpoints import fit_to_network, read_checkpoint

KEYS = frozenset({"architecture", "weights", "sha256", "trust_pickle", "options"})
REQUIRED = ("architecture", "weights")
LIBRARY = re.compile(r"(?P<source>timm|torchvision):(?P<name>[^/\\]+)$")


def files(entry: Mapping[str, Any]) -> list[str]:
    """The checkpoint."""
    return [entry["weights"]]


def check(entry: Mapping[str, Any]) -> None:
    """ModelkinError unless an own architecture's file is there."""
    if not LIBRARY.match(entry["architecture"]):
        architectures.check_custom(entry["architecture"])


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
    fit_to_network(found, read_checkpoint(weights, **more), weights)
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
