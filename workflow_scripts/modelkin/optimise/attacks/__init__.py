"""The attacks: a module here is an attack, its name what the config calls it.

Each has ``DEFAULTS``, the keys that the config's section may give it and their defaults, which stand nowhere
else; ``NORMS``, the norms under which it is an attack; ``attack(norm, radius, *, seed, device, **settings)``,
which returns an :data:`~modelkin.optimise.attacks.base.Attack`; and ``passes_per_image(**settings)``, the
forward passes and gradients that it takes. The modules import torch when an attack is made, so that a config
is read without it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from modelkin import registry
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    import torch

    from modelkin.optimise.attacks.base import Attack


def names() -> list[str]:
    """The names of all attacks, sorted."""
    return registry.names(sys.modules[__name__])


def get(name: str) -> Any:
    """The module of an attack; ModelkinError with the nearest valid name if there is none."""
    return registry.load_choice(sys.modules[__name__], name, "attack")


def defaults() -> dict[str, dict[str, float]]:
    """The settings of every attack with their defaults, by its name."""
    return {name: dict(get(name).DEFAULTS) for name in names()}


def passes_per_image(attack: str, **settings: float) -> tuple[int, int]:
    """Forward passes and gradients that an attack takes for an image, at the most.

    settings: the attack's own, in place of its ``DEFAULTS``; keys that are not its own are not looked at.
    """
    module = get(attack)
    return module.passes_per_image(**{**module.DEFAULTS, **settings})


def check_norm(name: str, norm: str) -> None:
    """Raise ModelkinError unless an attack is one under this norm."""
    norms = get(name).NORMS
    if norm not in norms:
        raise ModelkinError(
            f"adversarial: {name} is an attack under {' or '.join(norms)}; use norm: {norms[0]} or "
            "attack: pgd."
        )


def from_settings(
    attack: str,
    norm: str,
    radius: float,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    **settings: float,
) -> Attack:
    """Make the attack that a config describes.

    Parameters
    ----------
    attack : str
        One of :func:`names`.
    norm : {"l2", "linf"}
        Of the ball in which images stay.
    radius : float
        Of that ball, in units of pixels in [0, 1].
    seed : int
        Of whatever the attack draws.
    device : torch.device or str
        Where the images will be.
    **settings
        The attack's own, in place of its ``DEFAULTS``; ``step_size`` is in units of the radius.

    Raises
    ------
    ModelkinError
        If there is no such attack, or it is none under this norm.
    """
    check_norm(attack, norm)
    module = get(attack)
    return module.attack(norm, radius, seed=seed, device=device, **{**module.DEFAULTS, **settings})
