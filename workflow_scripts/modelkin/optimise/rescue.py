"""A second try for images whose inversion came to a halt: gradients that pass units which are off.

A ReLU that is off passes no gradient, and where all units between an image and a wanted feature are off the
descent does not know where to go, though the feature can be reached. For the second try the units let a share
of the gradient through; what the model computes, and so the loss, stays exactly the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from modelkin.optimise.descent import Descended, Descent, Losses
from modelkin.optimise.watching import Counted, Progress

SLOPE = 0.1  # share of the gradient that a unit lets through while it is off

# Operations that are max(x, 0), and those that are cut off above as well: out of place and in place.
RELUS = {
    nn.functional.relu,
    torch.relu,
    torch.Tensor.relu,
    torch.ops.aten.relu.default,
}
RELUS_IN_PLACE = {
    torch.relu_,
    torch.Tensor.relu_,
    torch.ops.aten.relu_.default,
}
HARDTANHS = {nn.functional.hardtanh, torch.ops.aten.hardtanh.default}
HARDTANHS_IN_PLACE = {nn.functional.hardtanh_, torch.ops.aten.hardtanh_.default}
RELU6S = {nn.functional.relu6}


class LeakyGradients(TorchFunctionMode):
    """A context in which ReLUs that are off let a share of the gradient through; values stay the same.

    It changes ReLU, ReLU6 and hardtanh, as modules, functions and operations of exported graphs. Smooth
    activations (GELU, SiLU) have a gradient nearly everywhere and are left as they are.

    Parameters
    ----------
    slope : float
        Share of the gradient; 0 changes nothing.
    """

    def __init__(self, slope: float = SLOPE):
        super().__init__()
        self.slope = slope

    def __torch_function__(
        self, function: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in RELUS or function in RELUS_IN_PLACE:
            return self._cut(function in RELUS_IN_PLACE, *args, low=0.0, high=math.inf, **kwargs)
        if function in RELU6S:
            return self._cut(False, *args, low=0.0, high=6.0, **kwargs)
        if function in HARDTANHS or function in HARDTANHS_IN_PLACE:
            return self._hardtanh(function in HARDTANHS_IN_PLACE, *args, **kwargs)
        return function(*args, **kwargs)

    def _hardtanh(
        self,
        in_place: bool,
        input: torch.Tensor,  # noqa: A002 as torch calls it
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
    ) -> torch.Tensor:
        return self._cut(in_place, input, inplace, low=float(min_val), high=float(max_val))

    def _cut(
        self,
        in_place: bool,
        input: torch.Tensor,  # noqa: A002 as torch calls it
        inplace: bool = False,
        *,
        low: float,
        high: float,
    ) -> torch.Tensor:
        return _LeakyCut.apply(input, self.slope, low, high, in_place or inplace)


class _LeakyCut(torch.autograd.Function):
    """A tensor cut off at two values, with a share of the gradient where it is cut off."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, slope: float, low: float, high: float, in_place: bool
    ) -> torch.Tensor:
        ctx.slope = slope
        ctx.save_for_backward((x <= low) | (x >= high))
        if in_place:
            ctx.mark_dirty(x)
            return x.clamp_(low, high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (off,) = ctx.saved_tensors
        return torch.where(off, ctx.slope * gradients[0], gradients[0]), None, None, None, None


def rescued(
    losses: Losses,
    start: torch.Tensor,
    found: Descended,
    descent: Descent,
    *,
    above: float,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> tuple[Descended, torch.Tensor]:
    """Try again where a descent failed: first with leaky gradients, then by the same descent from there.

    Parameters
    ----------
    losses : callable
        Of the descent, see :meth:`modelkin.optimise.descent.Descent.run`.
    start : Tensor of shape (n, c, h, w)
        From where it began, and from where this begins again.
    found : Descended
        What it found.
    descent : Descent
        Which is run twice more on the images that failed.
    above : float
        Loss above which an image has failed.
    batch_size : int, optional
        Images at a time.
    progress : callable, optional
        As in :meth:`modelkin.optimise.descent.Descent.run`, counted over both descents.

    Returns
    -------
    Descended
        As found, but for images whose loss is at most ``above`` now; ``steps`` counts those of all tries.
    Tensor of bool, shape (n,)
        Which images these are.
    """
    saved = torch.zeros(len(start), dtype=torch.bool)
    failed = (found.losses > above).nonzero().flatten()
    if not len(failed):
        return found, saved

    def of_failed(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return losses(x, failed[index])

    def leaky(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        with LeakyGradients():
            return of_failed(x, index)

    images, steps = start[failed], found.steps.clone()
    told = Counted(progress)
    for goal in (leaky, of_failed):
        again = descent.run(goal, images, batch_size=batch_size, progress=told)
        told.next()
        images = again.images
        steps[failed.cpu()] += again.steps
    good = again.losses <= above
    kept = failed[good]
    saved[kept.cpu()] = True
    return Descended(
        found.images.index_copy(0, kept, again.images[good]),
        found.losses.index_copy(0, kept, again.losses[good]),
        steps,
    ), saved
