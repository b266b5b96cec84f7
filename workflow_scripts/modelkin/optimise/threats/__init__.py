"""Threats: families of changes that an attack may make to images.

A module here is a threat, its name what the config calls it. What is changed may
be an image's JPEG coefficients or the snow that falls on it; its radius then is in units of its own. Each
module has ``THREAT``, a :class:`~modelkin.optimise.threats.base.Threat`. Torch is imported when images are
changed.
"""

from __future__ import annotations

import sys

from modelkin import registry
from modelkin.optimise.threats.base import Threat


def names() -> list[str]:
    """The names of all threats, sorted."""
    return registry.names(sys.modules[__name__])


def get(name: str) -> Threat:
    """The threat of that name; ModelkinError with the nearest valid name if there is none."""
    return registry.load_choice(sys.modules[__name__], name, "threat").THREAT
