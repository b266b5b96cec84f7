"""The measures. A module here is a measure: its name is what the config calls it.

A new one is a module with a ``MEASURE``; nothing else knows about it.
"""

from __future__ import annotations

import importlib
import pkgutil

from modelkin.errors import unknown
from modelkin.measures.base import Estimate, Measure

__all__ = ["Estimate", "Measure", "get", "names"]


def names() -> list[str]:
    """The names of all measures, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")


def get(name: str) -> Measure:
    """The measure of that name; ModelkinError with the nearest valid name if there is none."""
    if name not in names():
        raise unknown("measure", name, names())
    return importlib.import_module(f"{__name__}.{name}").MEASURE
