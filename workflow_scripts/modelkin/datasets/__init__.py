"""The datasets. A module here is a dataset: its name is what the config calls it.

``load(**settings)`` returns ``{"train": Images, "test": Images}``; ``counts(**settings)`` says
without decoding an image how many images each split and how many classes there are.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

from modelkin import plugins
from modelkin.errors import ModelkinError, unknown


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return plugins.names(sys.modules[__name__])


def load(name: str, **settings) -> dict:
    """The splits of a dataset as :class:`~modelkin.images.Images`, by split name."""
    return _module(name, settings).load(**settings)


def counts(name: str, **settings) -> dict[str, int]:
    """{"train": images, "test": images, "classes": classes} of a dataset, cheaply."""
    return _module(name, settings).counts(**settings)


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
