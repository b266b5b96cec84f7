"""Changes of pixels, each of which is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin.optimise.threats.base import Threat

if TYPE_CHECKING:
    import torch


def linf_distance(images: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """The largest change of a pixel of each image, (n,)."""
    return (changed - images).flatten(1).abs().amax(1)


THREAT = Threat(linf_distance, units="pixels in [0, 1]", largest_radius=1.0)
