"""The architectures that can be trained. A module here is an architecture, named as in the config.

``build(channels, size, width, representation)`` returns a module from images
(n, channels, size, size) to representations (n, representation), the input of the last layer.
"""

from __future__ import annotations

import sys

from modelkin import plugins


def names() -> list[str]:
    """The names of all architectures, sorted."""
    return plugins.names(sys.modules[__name__])


def build(name: str, *, channels: int, size: int, width: int, representation: int):
    """The feature extractor of that name; ModelkinError with the nearest valid name if there is none."""
    module = plugins.load(sys.modules[__name__], name, "architecture")
    return module.build(channels, size, width, representation)
