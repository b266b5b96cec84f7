"""Attacks: images near the given ones on which a model's loss is high. Only the loss is defined here;
the steps are the optimisation engine's.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from modelkin.optimise import Descent

UNTARGETED = ["apgd-ce", "fab", "square"]


def pgd(norm: str, radius: float, steps: int, step_size: float) -> Descent:
    """Projected gradient descent of Madry et al. (2018): the last iterate, no momentum."""
    return Descent(steps=steps, step_size=step_size, norm=norm, radius=radius, keep="last")


def untargeted(model, images: torch.Tensor, labels: torch.Tensor, attack: Descent) -> torch.Tensor:
    """Images (n, c, h, w) on which the cross-entropy of their labels (n,) is driven up."""

    def losses(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return -cross_entropy(model(x), labels[index], reduction="none")

    return attack.run(losses, images).images


def autoattack(
    model, images: torch.Tensor, labels: torch.Tensor, *, norm: str, radius: float, seed: int = 0
) -> torch.Tensor:
    """The standard AutoAttack of Croce and Hein (2020), by its authors' library.

    With fewer than four classes the targeted members of its ensemble are left out: they need more.
    """
    from pyautoattack import AutoAttack

    with torch.no_grad():
        classes = model(images[:1]).shape[1]
    chosen = {"version": "standard"} if classes > 3 else {"version": "custom", "attacks": UNTARGETED}
    names = {"l2": "L2", "linf": "Linf"}
    attack = AutoAttack(model, norm=names[norm], eps=radius, seed=seed, device=images.device, **chosen)
    attack.verbose = False
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(9, classes - 1)
    with torch.enable_grad():
        return attack.run_standard_evaluation(images, labels, batch_size=len(images))[0]


@torch.no_grad()
def right(model, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether the top-1 class of each image (n, c, h, w) is its label, (n,)."""
    return model(images).argmax(1) == labels
