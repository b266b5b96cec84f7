"""Attacks: images near the given ones on which a model's loss is high. Only the loss is defined here;
the steps are the optimisation engine's.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from modelkin.optimise import Descent


def pgd(norm: str, radius: float, steps: int, step_size: float) -> Descent:
    """Projected gradient descent of Madry et al. (2018): the last iterate, no momentum."""
    return Descent(steps=steps, step_size=step_size, norm=norm, radius=radius, keep="last")


def untargeted(model, images: torch.Tensor, labels: torch.Tensor, attack: Descent) -> torch.Tensor:
    """Images (n, c, h, w) on which the cross-entropy of their labels (n,) is driven up."""

    def losses(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return -cross_entropy(model(x), labels[index], reduction="none")

    return attack.run(losses, images).images


@torch.no_grad()
def accuracy(model, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images (n, c, h, w) whose top-1 class is the label."""
    return float((model(images).argmax(1) == labels).double().mean())
