"""The datasets. A module here is a dataset: its name is what the config calls it.

``load(**settings)`` returns ``{"train": split, "test": split}``, the first only if there is one. A
split has ``labels``, ``ids`` and ``classes``, ``pick(rows)`` and ``chunks()``, which yields its
images as :class:`~modelkin.data.images.Images`: it is an ``Images`` itself, or decodes files when asked.
``counts(**settings)`` says without decoding an image how many each split has, of how many classes, and
of how many pixels a side (None if that is not known before); ``shape(**settings)`` their channels, height and
width, decoding none if the settings say it; ``missing(**settings)`` what is not there and can only be put
there by hand, as sentences; ``files(**settings)`` which files and folders it is read from.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import PurePath
from types import ModuleType
from typing import Any

from modelkin import registry
from modelkin.data.datasets import base
from modelkin.errors import ModelkinError, unknown_name

# The types of settings, as they are annotated, and what to call them.
PLAIN = {"str": str, "int": int, "bool": bool, "None": type(None)}
SAID = {"str": "a text", "int": "a whole number", "bool": "true or false", "list[str]": "a list of texts"}


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return registry.names(sys.modules[__name__])


def load(
    name: str,
    *,
    subset: Mapping[str, Any] | None = None,
    expected: Mapping[str, int] | None = None,
    **settings,
) -> dict:
    """The splits of a dataset, by name; subset: the keywords of :func:`modelkin.data.datasets.base.subset`.

    expected: see :func:`counts`; what is loaded is there, so it decides nothing here.
    """
    splits = _module(name, settings).load(**settings)
    return base.subset(splits, **subset) if subset else splits


def counts(
    name: str,
    *,
    subset: Mapping[str, Any] | None = None,
    expected: Mapping[str, int] | None = None,
    **settings,
) -> dict[str, Any]:
    """{"train": images, "test": images, "classes": classes, "size": pixels or None} of a dataset, cheaply.

    expected: what a dataset that is not there yet will hold (test, train, classes, channels, size); what is
    there is counted. With a subset of classes, only their number is known before the labels are read: the
    images are then counted as if all were kept.
    """
    module = _module(name, settings)
    if expected is not None and module.missing(**settings):
        found = {
            "train": 0,
            **{key: expected[key] for key in ("train", "test", "classes") if key in expected},
            "size": expected.get("size"),
        }
    else:
        found = module.counts(**settings)
    if not subset or subset.get("labels") == "kept":
        return found
    wanted = subset["classes"]
    return found | {"classes": wanted if isinstance(wanted, int) else len(wanted)}


def shape(
    name: str,
    *,
    subset: Mapping[str, Any] | None = None,
    expected: Mapping[str, int] | None = None,
    **settings,
) -> tuple[int, int, int]:
    """Channels, height and width of a dataset's images; subset, expected: as in :func:`counts`."""
    module = _module(name, settings)
    if expected is not None and module.missing(**settings):
        return expected["channels"], expected["size"], expected["size"]
    return tuple(module.shape(**settings))


def files(name: str, *, subset=None, expected=None, **settings) -> list[str]:
    """The files and folders that a dataset is read from, there or not; subset, expected: unused."""
    return _module(name, settings).files(**settings)


def missing(name: str, *, subset=None, expected=None, **settings) -> list[str]:
    """What of a dataset is not there and will not be downloaded, as sentences; subset, expected: unused."""
    return _module(name, settings).missing(**settings)


def _module(name: str, settings: dict) -> ModuleType:
    """The dataset's module; ModelkinError if it does not know one of the settings or lacks one."""
    module = registry.load_choice(sys.modules[__name__], name, "dataset")
    parameters = inspect.signature(module.load).parameters
    for key in settings:
        if key not in parameters:
            raise unknown_name(f"setting of dataset {name}", key, parameters)
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in settings:
            raise ModelkinError(f"dataset {name} needs the setting '{key}'.")
    for key, value in settings.items():
        _check_type(name, key, value, str(parameters[key].annotation))
    return module


def _check_type(dataset: str, key: str, value: Any, annotation: str) -> None:
    """ModelkinError unless a setting is of a type that the dataset's ``load`` says it takes."""
    named = [each.strip() for each in annotation.split("|")]
    known = [each for each in named if each in SAID]
    value = str(value) if isinstance(value, PurePath) else value
    is_text_list = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
    right = type(value) in [PLAIN.get(each) for each in named] or ("list[str]" in known and is_text_list)
    if known and not right:
        wanted = " or ".join(SAID[each] for each in named if each in SAID)
        raise ModelkinError(f"dataset {dataset}: {key} must be {wanted}, not {value!r:.60}.")
