"""Rules by which images move: momentum, quasi-Newton, and one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

State = dict[str, torch.Tensor]


class StepRule(Protocol):
    """How images move. What it remembers of each sample are tensors whose first dimension is the sample."""

    def begin(self, x: torch.Tensor) -> State:
        """What is remembered of images (b, ...) before their first step."""

    def move(
        self,
        state: State,
        x: torch.Tensor,
        gradient: torch.Tensor,
        loss: torch.Tensor,
        share: torch.Tensor,
    ) -> tuple[torch.Tensor, State]:
        """What to add to each image, and what to remember. share (b,): of its steps, how much is done."""


@dataclass(frozen=True)
class Momentum:
    """First-order steps of a given length; a zero gradient makes none.

    size: in units of ``norm``. norm: 'l2' steps along g/||g||, 'linf' along sign(g).
    decay: m <- decay * m + (1 - decay) * direction (jones2022); 0 for plain PGD.
    of: 'direction' as above, or 'gradient' for m <- decay * m + g / ||g||_1 and a step along the steepest
    direction of m, as MI-FGSM has it (Dong et al. 2018, equation 6).
    schedule: 'constant' or 'cosine' (size falls to zero over the steps).
    """

    size: float
    norm: str = "l2"
    decay: float = 0.0
    of: str = "direction"
    schedule: str = "constant"

    def begin(self, x: torch.Tensor) -> State:
        return {"momentum": torch.zeros_like(x)}

    def move(
        self,
        state: State,
        x: torch.Tensor,
        gradient: torch.Tensor,
        loss: torch.Tensor,
        share: torch.Tensor,
    ) -> tuple[torch.Tensor, State]:
        size = torch.full_like(loss, self.size)
        if self.schedule == "cosine":
            size = size * (1 + torch.cos(math.pi * share)) / 2
        if self.of == "gradient":
            momentum = self.decay * state["momentum"] + of_unit_l1(gradient)
            along = steepest(momentum, self.norm)
        else:
            momentum = self.decay * state["momentum"] + (1 - self.decay) * steepest(gradient, self.norm)
            along = momentum if self.norm == "l2" else momentum.sign()
        return -per_sample(size, x) * along, {"momentum": momentum}


@dataclass(frozen=True)
class QuasiNewton:
    """L-BFGS steps (Nocedal 1980) on half the squared loss, for losses that are distances from a goal.

    It needs no step size: the first step is Polyak's, loss / ||g||, which would reach zero were the loss
    linear. memory: past steps whose curvature is used. There is no line search, which would cost passes of
    the model; instead a step is at most ``shrink`` times one after which the loss rose, and ``grow``
    times one after which it fell.
    """

    memory: int = 8
    shrink: float = 0.7
    grow: float = 1.5

    def begin(self, x: torch.Tensor) -> State:
        flat = x.flatten(1)
        unknown = flat.new_full((len(x),), math.inf)
        return {
            # steps, then changes of the slope, each in a ring, and the slope last
            "basis": flat.new_zeros(len(x), 2 * self.memory + 1, flat.shape[1]),
            "oldest": torch.zeros(len(x), dtype=torch.long, device=x.device),
            "x": flat,
            "loss": unknown,
            "longest": unknown,
        }

    def move(
        self,
        state: State,
        x: torch.Tensor,
        gradient: torch.Tensor,
        loss: torch.Tensor,
        share: torch.Tensor,
    ) -> tuple[torch.Tensor, State]:
        basis, oldest, flat = state["basis"], state["oldest"], x.flatten(1)
        slope, moved = loss.unsqueeze(1) * gradient.flatten(1), flat - state["x"]
        rows = torch.arange(len(x), device=x.device)
        basis[rows, oldest] = moved
        basis[rows, self.memory + oldest] = slope - basis[:, -1]
        basis[:, -1] = slope
        oldest = (oldest + 1) % self.memory
        step = _two_loops(basis, oldest, loss)

        length, wanted = (torch.linalg.vector_norm(part, dim=1) for part in (moved, step))
        longest = torch.maximum(state["longest"], self.grow * length)
        longest = torch.where(loss < state["loss"], longest, self.shrink * length)
        longest = torch.where(length > 0, longest, state["longest"])
        step = step * torch.where(wanted > longest, longest / wanted, 1).unsqueeze(1)
        return -step.view_as(x), {
            "basis": basis,
            "oldest": oldest,
            "x": flat,
            "loss": loss,
            "longest": longest,
        }


@dataclass(frozen=True)
class InTurn:
    """One rule until a sample's loss is first under ``below``; then another, which watched from the start."""

    first: StepRule
    then: StepRule
    below: float

    def begin(self, x: torch.Tensor) -> State:
        turned = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        return {"turned": turned, **_prefixed(self.first.begin(x), self.then.begin(x))}

    def move(
        self,
        state: State,
        x: torch.Tensor,
        gradient: torch.Tensor,
        loss: torch.Tensor,
        share: torch.Tensor,
    ) -> tuple[torch.Tensor, State]:
        turned = state["turned"] | (loss < self.below)
        moves, states = zip(
            *(
                rule.move(_part(state, role), x, gradient, loss, share)
                for role, rule in (("first", self.first), ("then", self.then))
            ),
            strict=True,
        )
        return torch.where(per_sample(turned, x), moves[1], moves[0]), {
            "turned": turned,
            **_prefixed(*states),
        }


def _prefixed(first: State, then: State) -> State:
    return {
        f"{role} {key}": v for role, part in (("first", first), ("then", then)) for key, v in part.items()
    }


def _part(state: State, role: str) -> State:
    return {key.removeprefix(f"{role} "): v for key, v in state.items() if key.startswith(f"{role} ")}


def _two_loops(basis: torch.Tensor, oldest: torch.Tensor, loss: torch.Tensor) -> torch.Tensor:
    """The inverse curvature times the slope (b, d): Nocedal and Wright (2006), algorithm 7.4.

    basis (b, 2 h + 1, d): rings of h steps and of h changes of the slope, and the slope; oldest (b,): where
    the rings begin. Pairs without positive curvature are passed over. All is done on the basis' Gram
    matrix, so that the long vectors are read twice, not 4 h times.
    """
    h = basis.shape[1] // 2
    ring = (oldest.unsqueeze(1) + torch.arange(h, device=oldest.device)) % h
    order = torch.cat([ring, h + ring, torch.full_like(ring[:, :1], 2 * h)], dim=1)
    gram = (basis @ basis.transpose(1, 2)).double()
    gram = gram.gather(1, order.unsqueeze(2).expand_as(gram)).gather(2, order.unsqueeze(1).expand_as(gram))
    squares = gram.diagonal(dim1=1, dim2=2).clamp_min(torch.finfo(gram.dtype).tiny)
    curvature = gram.diagonal(h, dim1=1, dim2=2)[:, :h]
    usable = curvature > 1e-6 * (squares[:, :h] * squares[:, h : 2 * h]).sqrt()
    inverse = torch.where(usable, 1 / curvature, 0)

    weights, alphas = torch.zeros_like(squares), torch.zeros_like(curvature)
    weights[:, -1] = 1
    for i in reversed(range(h)):
        alphas[:, i] = inverse[:, i] * (gram[:, i] * weights).sum(1)
        weights[:, h + i] -= alphas[:, i]
    scale = torch.where(gram[:, -1, -1] > 0, loss.double() ** 2 / squares[:, -1], 0)
    for i in range(h):
        scale = torch.where(usable[:, i], curvature[:, i] / squares[:, h + i], scale)
    weights = scale.unsqueeze(1) * weights
    for i in range(h):
        beta = inverse[:, i] * (gram[:, h + i] * weights).sum(1)
        weights[:, i] += alphas[:, i] - beta
    back = torch.zeros_like(weights).scatter_(1, order, weights).to(basis)
    return (back.unsqueeze(1) @ basis).squeeze(1)


def steepest(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """The unit direction in which the loss rises most under a norm; zero where the gradient is."""
    if norm == "linf":
        return gradient.sign()
    # Scaling by the largest entry first keeps the squares of tiny gradients from vanishing.
    largest = gradient.abs().flatten(1).amax(1)
    scaled = gradient / per_sample(torch.where(largest > 0, largest, torch.ones_like(largest)), gradient)
    length = torch.linalg.vector_norm(scaled.flatten(1), dim=1)
    return scaled / per_sample(torch.where(length > 0, length, torch.ones_like(length)), gradient)


def of_unit_l1(gradient: torch.Tensor) -> torch.Tensor:
    """Each sample's gradient divided by the sum of its absolute values; zero where it is zero."""
    largest = gradient.abs().flatten(1).amax(1)
    scaled = gradient / per_sample(torch.where(largest > 0, largest, torch.ones_like(largest)), gradient)
    total = scaled.abs().flatten(1).sum(1)
    return scaled / per_sample(torch.where(total > 0, total, torch.ones_like(total)), gradient)


def per_sample(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Per-sample values (b,) in a shape that multiplies images (b, c, h, w)."""
    return values.view(-1, *[1] * (images.ndim - 1))
