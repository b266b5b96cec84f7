"""The datasets. A module here is a dataset: its name is what the config calls it.

``load(**settings)`` returns ``{"train": split, "test": split}``, the first only if there is one. A
split has ``labels``, ``ids`` and ``classes``, ``pick(rows)`` and ``blocks()``, which yields its
images as :class:`~modelkin.images.Images`: it is an ``Images`` itself, or decodes files when asked.
``counts(**settings)`` says without decoding an image how many each split has, of how many classes, and
of how many pixels a side (None if that is not known before).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from modelkin import plugins
from modelkin.errors import ModelkinError, unknown


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return plugins.names(sys.modules[__name__])


def load(name: str, *, subset: Mapping[str, Any] | None = None, **settings) -> dict:
    """The splits of a dataset, by name; subset: the keywords of :func:`modelkin.datasets.base.subset`."""
    splits = _module(name, settings).load(**settings)
    return _shared().subset(splits, **subset) if subset else splits


def counts(name: str, *, subset: Mapping[str, Any] | None = None, **settings) -> dict[str, int]:
    """{"train": images, "test": images, "classes": classes, "size": pixels or None} of a dataset, cheaply.

    With a subset of classes, only their number is known before the labels are read: the images are
    then counted as if all were kept.
    """
    found = _module(name, settings).counts(**settings)
    if not subset or subset.get("labels") == "kept":
        return found
    wanted = subset["classes"]
    return found | {"classes": wanted if isinstance(wanted, int) else len(wanted)}


def _shared() -> ModuleType:
    """What datasets share; imported late, for the config is read without numpy."""
    from modelkin.datasets import base

    return base


def _module(name: str, settings: dict) -> ModuleType:
    """The dataset's module; ModelkinError if it does not know one of the settings or lacks one."""
    module = plugins.load(sys.modules[__name__], name, "dataset")
    parameters = inspect.signature(module.load).parameters
    for key in settings:
        if key not in parameters:
            raise unknown(f"setting of dataset {name}", key, parameters)
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise ModelkinError(f"dataset {name} needs the setting '{key}'.")
    return module
