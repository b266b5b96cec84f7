"""Projected gradient descent (Madry et al. 2018), with the settings of hwang2024 as defaults.

Under a threat that is no ball of pixels it descends on the threat's own variables, always from random starts.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.optimise import threats

if TYPE_CHECKING:
    import torch

    from modelkin.optimise.attacks.base import Attack
    from modelkin.optimise.descent import Descent, PerturbationDescent
else:
    torch = lazy.module("torch")

DEFAULTS = {"steps": 50, "step_size": 0.1, "starts": 0}
THREATS = ("l2", "linf", "gabor", "jpeg", "snow")


def attack(
    threat: str, radius: float, *, seed: int, device, steps: int, step_size: float, starts: int
) -> Attack:
    """PGD from the image itself, or from so many random starts; step_size in units of the radius."""
    from modelkin.optimise.attacks.base import untargeted

    return functools.partial(
        untargeted,
        attack=pgd_descent(threat, radius, int(steps), step_size * radius),
        starts=int(starts),
        generator=torch.Generator(device).manual_seed(seed),
    )


def passes_per_image(*, steps: int, starts: int, **_) -> tuple[int, int]:
    """Forward passes and gradients: after several random starts, losses tell which of them to keep."""
    return starts if starts > 1 else 0, steps * max(1, starts)


def least_starts(threat: str) -> int:
    """Random starts that PGD cannot do without: 0 if it may start at the image itself, else 1."""
    return 0 if threats.get(threat).perturbation is None else 1


def pgd_descent(threat: str, radius: float, steps: int, step_size: float) -> Descent | PerturbationDescent:
    """Projected gradient descent of Madry et al. (2018): the last iterate, no momentum.

    Parameters
    ----------
    threat : str
        A name of :mod:`modelkin.optimise.threats`; 'l2' and 'linf' are norms of the ball and of the steps.
    radius, step_size : float
        In units of the threat: pixels in [0, 1] for these two.
    steps : int
    """
    from modelkin.optimise.descent import Ball, Descent, PerturbationDescent
    from modelkin.optimise.steps import Momentum

    perturbation = threats.get(threat).perturbation
    if perturbation is not None:
        # The set of the variables is the same for every radius, so that a step is a share of it.
        rule = Momentum(step_size / radius if radius else 0.0, perturbation.norm)
        moving = Descent(steps, rule, projection=perturbation.project, keep="last")
        return PerturbationDescent(perturbation, radius, moving)
    return Descent(steps, Momentum(step_size, threat), Ball(threat, radius), keep="last")
