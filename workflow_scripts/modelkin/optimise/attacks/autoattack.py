"""The standard AutoAttack (Croce and Hein 2020), by its authors' library."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from modelkin import lazy

if TYPE_CHECKING:
    import torch

    from modelkin.optimise.attacks.base import Attack
else:
    torch = lazy.module("torch")

DEFAULTS: dict[str, float] = {}
THREATS = ("l2", "linf")
ROBUST_GRADIENTS = 3000  # about, for an image that stays robust; others take fewer
UNTARGETED = ["apgd-ce", "fab", "square"]


def attack(threat: str, radius: float, *, seed: int, device) -> Attack:
    """AutoAttack of :func:`run_autoattack`."""
    from modelkin.optimise.attacks.base import fitted_to_memory

    return fitted_to_memory(functools.partial(run_autoattack, norm=threat, radius=radius, seed=seed % 2**32))


def passes_per_image(**_) -> tuple[int, int]:
    """Forward passes and gradients, at the most."""
    return 0, ROBUST_GRADIENTS


def run_autoattack(
    model,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    norm: str,
    radius: float,
    seed: int = 0,
    version: str = "standard",
) -> torch.Tensor:
    """The standard AutoAttack of Croce and Hein (2020), by its authors' library.

    With fewer than four classes the targeted members of its ensemble are left out: they need more. Its
    version "rand" is here APGD on cross-entropy and, of four classes and more, on DLR: 20 steps from one
    random start each.
    """
    from pyautoattack import AutoAttack

    with torch.no_grad():
        classes = model(images[:1]).shape[1]
    chosen = {"version": "standard"} if classes > 3 else {"version": "custom", "attacks": UNTARGETED}
    if version == "rand":
        chosen = {"version": "custom", "attacks": ["apgd-ce", *(["apgd-dlr"] if classes > 3 else [])]}
    names = {"l2": "L2", "linf": "Linf"}
    attack = AutoAttack(model, norm=names[norm], eps=radius, seed=seed, device=images.device, **chosen)
    attack.verbose = False
    if version == "rand":
        attack.apgd.n_iter, attack.apgd.n_restarts = 20, 1
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(9, classes - 1)
    with torch.enable_grad():
        return attack.run_standard_evaluation(images, labels, batch_size=len(images))[0]
