"""Gradients through units that are off: what moves an image on which a network's ReLUs say nothing.

It changes no value, only what is derived from it, and knows nothing of what the gradient is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# Between which values functions let through, by their names, and those of operations of an exported graph.
RELU, RELU6 = ("relu", "relu_", "relu.default", "relu_.default"), ("relu6", "relu6_")
HARDTANH = ("hardtanh", "hardtanh_", "hardtanh.default", "hardtanh_.default")  # what ReLU6 is in torch


class LeakyGradients(TorchFunctionMode):
    """While it is entered, the gradient of ReLU and ReLU6 is a slope where it would be 0.

    Values stay as they are. A network whose units are all off on an image has no gradient there, however far
    its representation is from another; with leaky gradients the image moves to where they go on.

    Parameters
    ----------
    slope : float
        From 0, which changes nothing, to 1.
    """

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Put the leaky function in place of ReLU's; leave all others as they are."""
        name, given = getattr(function, "__name__", ""), kwargs or {}
        if name in RELU:
            low, high = 0.0, torch.inf
        elif name in RELU6:
            low, high = 0.0, 6.0
        elif name in HARDTANH:
            low, high = (
                args[place] if len(args) > place else given.get(key, default)
                for place, (key, default) in enumerate((("min_val", -1.0), ("max_val", 1.0)), start=1)
            )
        else:
            return function(*args, **given)
        return _Clamped.apply(args[0] if args else given["input"], low, high, self.slope)


class _Clamped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, low: float, high: float, slope: float) -> torch.Tensor:
        ctx.save_for_backward((x > low) & (x < high))
        ctx.slope = slope
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return torch.where(inside, gradients[0], ctx.slope * gradients[0]), None, None, None
