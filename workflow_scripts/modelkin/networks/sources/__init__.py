"""Where models come from. A module here is a source: its name is what the config calls it.

Each has ``KEYS``, what an entry of the config may say beside what all may; ``REQUIRED``, what it
must say; ``files(entry)``, the local files that it names, there or not; ``check(entry)``, which looks at
everything else that can be known at once and imports nothing heavy, unless something seems wrong;
``take(classes, **entry)``, which returns a :class:`Taken`; and ``network(**build)``, which makes
the same network again without weights. One that needs a package which is no part of the installation has
``missing(entry)`` too, which says so. Models of source 'train' are made by the workflow itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from modelkin import registry
from modelkin.networks import architectures

# What can be said of every model that was not trained here.
COMMON = frozenset({"head", "mean", "std", "size"})
LOCAL_FOLDER = "local-dir:"  # before the path of a folder that timm reads a model from


@dataclass(frozen=True)
class Taken:
    """A network with its weights, and what its source knows of it.

    origin: where the weights are from, to be read by people. build: what ``network`` takes, as JSON.
    mean, std: normalisation per channel in units of [0, 1]; size: of the images in pixels;
    interpolation: how images were scaled in training; crop: share of the side that was cut out.
    hub: the name at a hub that the weights were loaded by. None where it is not known.
    """

    network: Any
    origin: str
    build: Mapping[str, Any]
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    size: int | None = None
    interpolation: str | None = None
    crop: float | None = None
    hub: str | None = None


def blank(source: str, classes: int, *, architecture: str, options: Mapping[str, Any] | None = None, **_):
    """The network of an entry with random weights, and the size that its source knows of, if any.

    Nothing is downloaded and no checkpoint is opened. Raises ModelkinError for a source that cannot do that.
    """
    return get(source).blank(classes, architecture, dict(options or {}))


def known_names(source: str) -> list[str]:
    """The architectures that a source knows by name, sorted; none if it takes what a user names.

    Nothing is downloaded; those of a package that is not installed are not told.
    """
    asked = getattr(get(source), "known_names", None)
    return sorted(asked()) if asked else []


def missing(source: str, **entry: Any) -> list[str]:
    """What an entry needs beside its files and is not installed, as sentences."""
    asked = getattr(get(source), "missing", None)
    return asked(entry) if asked else []


def outside(source: str, architecture: str, **entry: Any) -> list[str]:
    """The files and folders that a model is made of: those that its entry names (checkpoint, own code,
    a hub's local folder), and where its source keeps its downloads, if that is no cache of many programs.
    """
    module, whole = get(source), {"architecture": architecture, **entry}
    found = [*module.files(whole), *(module.kept(whole) if hasattr(module, "kept") else ())]
    own = architectures.CUSTOM.match(architecture)
    if own:
        found.append(own["file"])
    elif architecture.startswith(LOCAL_FOLDER):
        found.append(architecture.removeprefix(LOCAL_FOLDER))
    return found


def names() -> list[str]:
    """The names of all sources but 'train', sorted."""
    return registry.names(sys.modules[__name__])


def get(name: str) -> ModuleType:
    """The module of a source; ModelkinError with the nearest valid name if there is none."""
    return registry.load_choice(sys.modules[__name__], name, "source")
