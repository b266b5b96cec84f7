"""The momentum iterative attack under Linf (Dong et al. 2018)."""

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

DEFAULTS = {"steps": 10, "step_size": 0.1, "momentum": 1.0, "starts": 0}
THREATS = ("linf",)


def attack(
    threat: str,
    radius: float,
    *,
    seed: int,
    device,
    steps: int,
    step_size: float,
    momentum: float,
    starts: int,
) -> Attack:
    """MI-FGSM from the image itself, or from so many random starts; step_size in units of the radius."""
    from modelkin.optimise.attacks.base import untargeted

    return functools.partial(
        untargeted,
        attack=mi_fgsm_descent(radius, int(steps), step_size * radius, momentum),
        starts=int(starts),
        generator=torch.Generator(device).manual_seed(seed),
    )


def passes_per_image(*, steps: int, starts: int, **_) -> tuple[int, int]:
    """Forward passes and gradients: after several random starts, losses tell which of them to keep."""
    return starts if starts > 1 else 0, steps * max(1, starts)


def mi_fgsm_descent(
    radius: float, steps: int, step_size: float, decay: float = DEFAULTS["momentum"]
) -> Descent:
    """The momentum iterative attack of Dong et al. (2018) under Linf.

    Parameters
    ----------
    radius, step_size : float
        In units of pixels in [0, 1].
    steps : int
    decay : float
        Of the accumulated gradient (mu in their equation 6).
    """
    from modelkin.optimise.descent import Ball, Descent
    from modelkin.optimise.steps import Momentum

    rule = Momentum(step_size, "linf", decay, of="gradient")
    return Descent(steps, rule, Ball("linf", radius), keep="last")
