"""Threats: families of changes that an attack may make to images, and how large a change is.

A threat is more than a norm: what is changed may be an image's JPEG coefficients or the snow that falls on
it, and its radius then is in units of its own. A new one is an entry here and an attack that names it among
its ``THREATS``. Torch is imported when a distance is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelkin.errors import unknown_name

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Threat:
    """A family of changes to images.

    Attributes
    ----------
    distance : callable
        (images, changed), both (n, c, h, w) with pixels in [0, 1], to the size of each change, (n,).
    largest_radius : float or None
        Beyond which a radius allows no more changes; None if there is no such radius.
    """

    distance: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    largest_radius: float | None = None


def l2_distance(images: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """The L2 norm of each image's change, (n,)."""
    import torch

    return torch.linalg.vector_norm((changed - images).flatten(1), dim=1)


def linf_distance(images: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """The largest change of a pixel of each image, (n,)."""
    return (changed - images).flatten(1).abs().amax(1)


THREATS = {"l2": Threat(l2_distance), "linf": Threat(linf_distance, largest_radius=1.0)}


def get(name: str) -> Threat:
    """The threat of that name; ModelkinError with the nearest valid name if there is none."""
    if name not in THREATS:
        raise unknown_name("threat", name, THREATS)
    return THREATS[name]
