"""What gradient attacks share: the loss that they drive up or down, and random starts."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch.nn.functional import cross_entropy

from modelkin.batching import MemoryFittingBatches
from modelkin.errors import ModelkinError
from modelkin.optimise.descent import Descent, PerturbationDescent

# (model, images (n, c, h, w), labels (n,)) -> images on which the model errs.
Attack = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


def fitted_to_memory(attack: Attack) -> Attack:
    """An attack of another library, on so many images at a time as memory holds."""
    fitting = MemoryFittingBatches()

    def fitted(model, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.cat(fitting(functools.partial(attack, model), images, labels))

    return fitted


def untargeted(
    model,
    images: torch.Tensor,
    labels: torch.Tensor,
    attack: Descent | PerturbationDescent,
    *,
    starts: int = 0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Images (n, c, h, w) on which the cross-entropy of their labels (n,) is driven up.

    starts: random starts in the ball, of which each image keeps that of the highest loss; with 0 the only
    start is the image itself.
    """
    return _attacked(model, images, labels, attack, -1, starts, generator)


def targeted(
    model,
    images: torch.Tensor,
    targets: torch.Tensor,
    attack: Descent | PerturbationDescent,
    *,
    starts: int = 0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Images (n, c, h, w) on which the cross-entropy of other classes (n,) is driven down.

    starts: as in :func:`untargeted`.
    """
    return _attacked(model, images, targets, attack, 1, starts, generator)


def _attacked(
    model, images, labels, attack: Descent | PerturbationDescent, sign: int, starts: int, generator
) -> torch.Tensor:
    def losses(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return sign * cross_entropy(model(x), labels[index], reduction="none")

    if not starts:
        if isinstance(attack, PerturbationDescent):
            raise ModelkinError("the attack has no start but random ones; use starts: 1 or more.")
        return attack.run(losses, images).images
    index, best, lowest = torch.arange(len(images), device=images.device), images, None
    for _ in range(starts):
        found = attack.run_from_random(losses, images, generator).images
        if starts == 1:
            return found
        with torch.no_grad():
            loss = losses(found, index)
        better = torch.ones_like(loss, dtype=torch.bool) if lowest is None else loss < lowest
        best = torch.where(better.view(-1, 1, 1, 1), found, best)
        lowest = loss if lowest is None else torch.where(better, loss, lowest)
    return best
