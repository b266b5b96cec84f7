"""The one optimisation engine: descent on images, each sample for itself.

Inversion, attacks and adversarial training differ only in the loss, in the rule by which an image moves
(:mod:`modelkin.optimise.steps`), in the ball it must stay in and in when it is
finished. It knows nothing of models, classes or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from modelkin.batching import MemoryFittingBatches
from modelkin.errors import ModelkinError
from modelkin.optimise.steps import State, StepRule, per_sample, steepest

Losses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Descended(NamedTuple):
    """images (n, ...), their losses (n,) and the steps taken for each (n,)."""

    images: torch.Tensor
    losses: torch.Tensor
    steps: torch.Tensor


class Ball(NamedTuple):
    """Where images must stay: within ``radius`` of where they are measured from, in 'l2' or 'linf'."""

    norm: str
    radius: float


@dataclass(frozen=True)
class Descent:
    """Settings of a descent.

    rule: how images move. ball: around the start, never left; None for no limit.
    stop_below: a sample whose loss falls below leaves the batch and the next one takes its place.
    keep: 'best' returns each sample's best iterate, the last included; 'last' the last one.
    """

    steps: int
    rule: StepRule
    ball: Ball | None = None
    stop_below: float | None = None
    keep: str = "best"

    def run(
        self,
        losses: Losses,
        start: torch.Tensor,
        *,
        batch_size: int | None = None,
        centre: torch.Tensor | None = None,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> Descended:
        """Descend from ``start`` (n, c, h, w), pixels in [0, 1].

        losses(x, index): per-sample losses (b,) of the samples with these indices; each sample's
        loss must depend on it alone. centre: of the ball (default: start).
        progress(finished samples, evaluations, median of the lowest losses so far), called at every step.
        """
        n, fitting = len(start), MemoryFittingBatches()
        centre = start if centre is None else centre
        out = Descended(start.clone(), start.new_full((n,), math.inf), torch.zeros(n, dtype=torch.long))
        waiting, evaluations = min(batch_size or n, n), 0
        batch = self._begun(start, torch.arange(waiting, device=start.device))
        while len(batch.index):
            gradient = self._look(losses, batch, fitting)
            evaluations += len(batch.index)
            done = batch.step >= self.steps
            if self.stop_below is not None:
                done = done | (batch.loss < self.stop_below)
            if done.any():
                index = batch.index[done]
                out.images[index], out.losses[index] = batch.best[done], batch.loss[done]
                out.steps[index.cpu()] = batch.step[done].cpu()
                batch, gradient = batch.keeping(~done), gradient[~done]
            if len(batch.index):
                self._step(batch, gradient, centre)
            if done.any():
                fresh = torch.arange(waiting, min(n, waiting + int(done.sum())), device=start.device)
                waiting += len(fresh)
                batch = batch.joined(self._begun(start, fresh))
            if progress is not None:
                lowest = out.losses.index_copy(0, batch.index, batch.loss)
                known = lowest[torch.isfinite(lowest)]
                progress(n - len(batch.index) - (n - waiting), evaluations, float(known.median()))
        return out

    def _look(self, losses: Losses, batch: _Batch, fitting: MemoryFittingBatches) -> torch.Tensor:
        """The gradient at the batch's images; their losses and best iterates are brought up to date."""
        if self.keep == "last" and bool((batch.step >= self.steps).all()):
            batch.best = batch.x
            return torch.zeros_like(batch.x)
        gradient, loss = _gradient(losses, batch, fitting)
        better = torch.ones_like(loss, dtype=torch.bool) if self.keep == "last" else loss < batch.loss
        batch.latest = loss
        batch.best = torch.where(per_sample(better, batch.x), batch.x, batch.best)
        batch.loss = torch.where(better, loss, batch.loss)
        return gradient

    def _step(self, batch: _Batch, gradient: torch.Tensor, centre: torch.Tensor) -> None:
        share = batch.step.to(batch.latest) / self.steps
        move, batch.state = self.rule.move(batch.state, batch.x, gradient, batch.latest, share)
        x = batch.x + move
        if self.ball is not None:
            origin = centre[batch.index]
            x = origin + project(x - origin, self.ball)
        batch.x = x.clamp(0, 1)
        batch.step = batch.step + 1

    def _begun(self, start: torch.Tensor, index: torch.Tensor) -> _Batch:
        x = start[index]
        loss = x.new_full((len(index),), math.inf)
        return _Batch(index, x, x.clone(), loss, loss, torch.zeros_like(index), self.rule.begin(x))


def _gradient(
    losses: Losses, batch: _Batch, fitting: MemoryFittingBatches
) -> tuple[torch.Tensor, torch.Tensor]:
    def parts(x: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            loss = losses(x, index)
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        return gradient, loss.detach()

    gradient, loss = map(torch.cat, zip(*fitting(parts, batch.x, batch.index), strict=True))
    if not torch.isfinite(loss).all():
        raise ModelkinError("the model returns NaN or infinite values, so there is no direction to descend.")
    return gradient, loss


def around(centre: torch.Tensor, ball: Ball, generator: torch.Generator | None = None) -> torch.Tensor:
    """Random starts: a point of each image's ball (n, c, h, w), uniform in it, with pixels in [0, 1]."""
    shape = {"size": centre.shape, "generator": generator, "dtype": centre.dtype, "device": centre.device}
    norm, radius = ball
    if norm == "linf":
        offset = (2 * torch.rand(**shape) - 1) * radius
    else:
        dimension = centre[0].numel()
        length = torch.rand(len(centre), generator=generator, dtype=centre.dtype, device=centre.device)
        offset = steepest(torch.randn(**shape), norm) * per_sample(radius * length ** (1 / dimension), centre)
    return (centre + offset).clamp(0, 1)


def project(offset: torch.Tensor, ball: Ball) -> torch.Tensor:
    """The nearest offset in the ball, sample by sample."""
    norm, radius = ball
    if norm == "linf":
        return offset.clamp(-radius, radius)
    length = torch.linalg.vector_norm(offset.flatten(1), dim=1)
    shrink = torch.where(length > radius, radius / length.clamp_min(1e-30), torch.ones_like(length))
    return offset * per_sample(shrink, offset)


@dataclass
class _Batch:
    """The samples under way: their rows in the whole, where each is, its best iterate with its loss, the
    loss where it is, the steps it took and what the rule remembers.
    """

    index: torch.Tensor
    x: torch.Tensor
    best: torch.Tensor
    loss: torch.Tensor
    latest: torch.Tensor
    step: torch.Tensor
    state: State

    def keeping(self, mask: torch.Tensor) -> _Batch:
        *own, state = vars(self).values()
        return _Batch(*(value[mask] for value in own), {key: value[mask] for key, value in state.items()})

    def joined(self, other: _Batch) -> _Batch:
        if not len(other.index):
            return self
        (*own, state), (*its, more) = (vars(batch).values() for batch in (self, other))
        both = (torch.cat(values) for values in zip(own, its, strict=True))
        return _Batch(*both, {key: torch.cat([value, more[key]]) for key, value in state.items()})
