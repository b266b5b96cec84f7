"""The variance-tuned momentum attack under Linf (Wang and He 2021), by the library torchattack."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from modelkin import lazy

if TYPE_CHECKING:
    import torch

    from modelkin.optimise.attacks.base import Attack
else:
    torch = lazy.module("torch")

DEFAULTS = {"steps": 10, "step_size": 0.1, "momentum": 1.0, "neighbours": 5, "neighbourhood": 1.5}
NORMS = ("linf",)


def attack(
    norm: str, radius: float, *, seed: int, device, steps: int, step_size: float, **settings: float
) -> Attack:
    """VMI-FGSM of :func:`run_vmi_fgsm`; step_size in units of the radius."""
    from modelkin.optimise.attacks.base import fitted_to_memory

    return fitted_to_memory(
        functools.partial(
            run_vmi_fgsm,
            radius=radius,
            steps=int(steps),
            step_size=step_size * radius,
            generator=torch.Generator(device).manual_seed(seed),
            **settings,
        )
    )


def passes_per_image(*, steps: int, neighbours: int, **_) -> tuple[int, int]:
    """Forward passes and gradients: at each iterate and at its neighbours."""
    return 0, steps * (1 + int(neighbours))


def run_vmi_fgsm(
    model,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    radius: float,
    steps: int,
    step_size: float,
    momentum: float = DEFAULTS["momentum"],
    neighbours: int = DEFAULTS["neighbours"],
    neighbourhood: float = DEFAULTS["neighbourhood"],
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The variance-tuned momentum attack of Wang and He (2021) under Linf, by the library torchattack.

    neighbours: images (N) drawn around each iterate, by ``neighbourhood`` (beta) radii at most in each pixel.
    An image whose gradient vanishes moves no further.
    """
    from torchattack import VMIFGSM

    attack = VMIFGSM(
        model,
        device=images.device,
        eps=radius,
        steps=steps,
        alpha=step_size,
        decay=momentum,
        n=int(neighbours),
        beta=neighbourhood,
    )
    # It draws from torch's global generator.
    seed = int(torch.randint(2**62, (), generator=generator, device=generator and generator.device))
    with torch.random.fork_rng([images.device] if images.is_cuda else []), torch.enable_grad():
        torch.manual_seed(seed)
        return attack(images, labels).detach()
