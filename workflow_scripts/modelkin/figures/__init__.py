"""What it looks like: the figures.

A module here is a figure, made once for the study or once for each measure.

``FIGURE`` says what it needs and how it is drawn. The modules load matplotlib lazily, so the
workflow can read what they need without waiting for it.
"""

from __future__ import annotations

import sys

from modelkin import registry
from modelkin.figures.base import Figure

__all__ = ["Figure", "get", "names"]


def names() -> list[str]:
    """The names of all figures, sorted."""
    return registry.names(sys.modules[__name__])


def get(name: str) -> Figure:
    """The figure of that name; ModelkinError with the nearest valid name if there is none."""
    return registry.load_choice(sys.modules[__name__], name, "figure").FIGURE
