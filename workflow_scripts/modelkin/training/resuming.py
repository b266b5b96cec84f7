"""What a training remembers between epochs, so that one that is interrupted goes on as if it never was.

It knows nothing of files: where the state is kept is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler


class Keeper(Protocol):
    """Where the state of one training is kept."""

    def saved(self) -> dict[str, Any] | None:
        """The state that was saved last, or None."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state of tensors, numbers, strings, lists and dictionaries in place of the one before."""


def training_state(
    model: nn.Module,
    parameters: Sequence[nn.Parameter],
    optimiser: torch.optim.Optimizer,
    rate: LRScheduler,
    reports: Sequence[dict[str, float]],
) -> dict[str, Any]:
    """What the next epochs depend on: weights, buffers, optimiser, rate, random numbers; and what was told.

    Parameters
    ----------
    model : Module
        Its buffers are kept; of its parameters those that are trained.
    parameters : sequence of Parameter
    optimiser : Optimizer
    rate : LRScheduler
    reports : sequence of dict
        One for each finished epoch.
    """
    device = parameters[0].device
    return {
        "parameters": [each.detach().clone() for each in parameters],
        "buffers": {name: value.clone() for name, value in model.named_buffers()},
        "optimiser": optimiser.state_dict(),
        "rate": rate.state_dict(),
        "reports": list(reports),
        "random": torch.get_rng_state(),
        "random_on_device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


@torch.no_grad()
def restore(
    state: dict[str, Any],
    model: nn.Module,
    parameters: Sequence[nn.Parameter],
    optimiser: torch.optim.Optimizer,
    rate: LRScheduler,
) -> None:
    """Bring all of it back to a state of :func:`training_state`; torch's global generator too."""
    for parameter, kept in zip(parameters, state["parameters"], strict=True):
        parameter.copy_(kept)
    for name, value in model.named_buffers():
        if not torch.equal(value, kept := state["buffers"][name].to(value.device)):
            value.copy_(kept)
    optimiser.load_state_dict(state["optimiser"])
    rate.load_state_dict(state["rate"])
    torch.set_rng_state(state["random"].cpu())
    if state["random_on_device"] is not None:
        torch.cuda.set_rng_state(state["random_on_device"].cpu(), parameters[0].device)
