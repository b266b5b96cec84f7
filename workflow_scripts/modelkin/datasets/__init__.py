"""The datasets. A module here is a dataset: its name is what the config calls it.

``load(**settings)`` returns ``{"train": Images, "test": Images}``.
"""

from __future__ import annotations

import sys

from modelkin import plugins


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return plugins.names(sys.modules[__name__])


def load(name: str, **settings) -> dict:
    """The splits of a dataset as :class:`~modelkin.images.Images`, by split name."""
    return plugins.load(sys.modules[__name__], name, "dataset").load(**settings)
