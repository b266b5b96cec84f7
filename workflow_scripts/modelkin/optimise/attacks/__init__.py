"""The attacks: a module here is an attack, its name what the config calls it.

Each has ``DEFAULTS``, the keys that the config's section may give it and their defaults, which stand nowhere
else; ``THREATS``, the names of the threats (:mod:`modelkin.optimise.threats`) under which it is an attack;
``attack(threat, radius, *, seed, device, **settings)``, which returns an
:data:`~modelkin.optimise.attacks.base.Attack`; and ``passes_per_image(**settings)``, the forward passes and
gradients that it takes. The modules import torch when an attack is made, so that a config is read without it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from modelkin import registry
from modelkin.errors import ModelkinError
from modelkin.optimise import threats

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


def defaults_under(name: str, threat: str) -> dict[str, float]:
    """The settings of an attack with the defaults that hold under a threat."""
    own = get(name).DEFAULTS
    return {**own, **{key: value for key, value in threats.get(threat).probe.items() if key in own}}


def passes_per_image(attack: str, **settings: float) -> tuple[int, int]:
    """Forward passes and gradients that an attack takes for an image, at the most.

    settings: the attack's own, in place of its ``DEFAULTS``; keys that are not its own are not looked at.
    """
    module = get(attack)
    return module.passes_per_image(**{**module.DEFAULTS, **settings})


def check_threat(name: str, threat: str, where: str = "adversarial") -> None:
    """Raise ModelkinError unless an attack is one under this threat; where: what the sentence begins with."""
    own = get(name).THREATS
    if threat not in own:
        choices = [f"norm: {own[0]}", *(f"attack: {a}" for a in names() if threat in get(a).THREATS)]
        raise ModelkinError(
            f"{where}: {name} is an attack under {' or '.join(own)}; use {' or '.join(choices)}."
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
    norm : str
        The threat: one of the attack's ``THREATS``, as 'l2' or 'linf', the norms of balls of pixels.
    radius : float
        How large changes may be, in the threat's units: of 'l2' and 'linf', pixels in [0, 1].
    seed : int
        Of whatever the attack draws.
    device : torch.device or str
        Where the images will be.
    **settings
        The attack's own, in place of :func:`defaults_under` the threat; ``step_size`` is in units of the
        radius.

    Raises
    ------
    ModelkinError
        If there is no such attack, or it is none under this threat.
    """
    check_threat(attack, norm)
    own = {**defaults_under(attack, norm), **settings}
    return get(attack).attack(norm, radius, seed=seed, device=device, **own)
