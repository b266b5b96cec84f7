"""Projected gradient descent (Madry et al. 2018), with the settings of hwang2024 as defaults."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from modelkin import lazy

if TYPE_CHECKING:
    import torch

    from modelkin.optimise.attacks.base import Attack
    from modelkin.optimise.descent import Descent
else:
    torch = lazy.module("torch")

DEFAULTS = {"steps": 50, "step_size": 0.1, "starts": 0}
NORMS = ("l2", "linf")


def attack(
    norm: str, radius: float, *, seed: int, device, steps: int, step_size: float, starts: int
) -> Attack:
    """PGD from the image itself, or from so many random starts; step_size in units of the radius."""
    from modelkin.optimise.attacks.base import untargeted

    return functools.partial(
        untargeted,
        attack=pgd_descent(norm, radius, int(steps), step_size * radius),
        starts=int(starts),
        generator=torch.Generator(device).manual_seed(seed),
    )


def passes_per_image(*, steps: int, starts: int, **_) -> tuple[int, int]:
    """Forward passes and gradients: after random starts, losses tell which of them to keep."""
    return starts, steps * max(1, starts)


def pgd_descent(norm: str, radius: float, steps: int, step_size: float) -> Descent:
    """Projected gradient descent of Madry et al. (2018): the last iterate, no momentum.

    Parameters
    ----------
    norm : {"l2", "linf"}
        Of the ball and of the steps.
    radius, step_size : float
        In units of pixels in [0, 1].
    steps : int
    """
    from modelkin.optimise.descent import Ball, Descent
    from modelkin.optimise.steps import Momentum

    return Descent(steps, Momentum(step_size, norm), Ball(norm, radius), keep="last")
