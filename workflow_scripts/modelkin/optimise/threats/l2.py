"""Changes of pixels whose L2 norm is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.optimise.threats.base import Threat

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def l2_distance(images: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """The L2 norm of each image's change, (n,)."""
    return torch.linalg.vector_norm((changed - images).flatten(1), dim=1)


THREAT = Threat(l2_distance, units="pixels in [0, 1]")
