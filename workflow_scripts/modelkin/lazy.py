"""Modules that are imported when they are first used, so that whoever only reads a config waits for none."""

from __future__ import annotations

import importlib
from typing import Any


def module(name: str) -> Any:
    """The module of that name, as soon as something of it is asked for.

    Until then nothing stands in ``sys.modules``, where lazy_loader would put a placeholder: scipy looks there
    for torch, and would import it, more than a second in every job that draws or makes tables.
    """
    return _Later(name)


class _Later:
    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)  # an import takes its time even if it has nothing to do
        return found
