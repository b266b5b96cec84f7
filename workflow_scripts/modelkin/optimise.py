"""The one optimisation engine: steepest descent on images under a norm.

Inversion, attacks and adversarial training differ only in the loss and in the settings given here.
It knows nothing of models, classes or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from modelkin.errors import ModelkinError

Losses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Descended(NamedTuple):
    """images (n, ...), their losses (n,) and the steps taken for each (n,)."""

    images: torch.Tensor
    losses: torch.Tensor
    steps: torch.Tensor


@dataclass(frozen=True)
class Descent:
    """Settings of a descent.

    norm: 'l2' steps along g/||g||, 'linf' along sign(g); a zero gradient makes no step.
    momentum: m <- momentum * m + (1 - momentum) * direction (jones2022); 0 for plain PGD.
    of: 'direction' as above, or 'gradient' for m <- momentum * m + g / ||g||_1 and a step along the steepest
    direction of m, as MI-FGSM has it (Dong et al. 2018, equation 6).
    schedule: 'constant' or 'cosine' (step_size falls to zero over ``steps``).
    radius: distance from the start, in ``norm``, that is never exceeded; None for no limit.
    stop_below: a sample whose loss falls below leaves the batch and the next one takes its place.
    keep: 'best' returns each sample's best iterate, the last included; 'last' the last one.
    """

    steps: int
    step_size: float
    norm: str = "l2"
    momentum: float = 0.0
    of: str = "direction"
    schedule: str = "constant"
    radius: float | None = None
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
        loss must depend on it alone. centre: where ``radius`` is measured from (default: start).
        progress(finished samples, evaluations, median of the lowest losses so far), called at every step.
        """
        n = len(start)
        centre = start if centre is None else centre
        out = Descended(start.clone(), start.new_full((n,), math.inf), torch.zeros(n, dtype=torch.long))
        waiting, evaluations = min(batch_size or n, n), 0
        batch = _Batch.of(start, torch.arange(waiting, device=start.device))
        while len(batch.index):
            gradient = self._look(losses, batch)
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
                batch = batch.joined(_Batch.of(start, fresh))
            if progress is not None:
                lowest = out.losses.index_copy(0, batch.index, batch.loss)
                known = lowest[torch.isfinite(lowest)]
                progress(n - len(batch.index) - (n - waiting), evaluations, float(known.median()))
        return out

    def _look(self, losses: Losses, batch: _Batch) -> torch.Tensor:
        """The gradient at the batch's images; their losses and best iterates are brought up to date."""
        if self.keep == "last" and bool((batch.step >= self.steps).all()):
            batch.best = batch.x
            return torch.zeros_like(batch.x)
        gradient, loss = self._gradient(losses, batch)
        better = torch.ones_like(loss, dtype=torch.bool) if self.keep == "last" else loss < batch.loss
        batch.best = torch.where(_like(better, batch.x), batch.x, batch.best)
        batch.loss = torch.where(better, loss, batch.loss)
        return gradient

    def _gradient(self, losses: Losses, batch: _Batch) -> tuple[torch.Tensor, torch.Tensor]:
        x = batch.x.detach().requires_grad_(True)
        with torch.enable_grad():
            loss = losses(x, batch.index)
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        if not torch.isfinite(loss).all():
            raise ModelkinError(
                "the model returns NaN or infinite values, so there is no direction to descend."
            )
        return gradient, loss.detach()

    def _step(self, batch: _Batch, gradient: torch.Tensor, centre: torch.Tensor) -> None:
        size = torch.full_like(batch.loss, self.step_size)
        if self.schedule == "cosine":
            size = size * (1 + torch.cos(math.pi * batch.step.to(size) / self.steps)) / 2
        if self.of == "gradient":
            batch.momentum = self.momentum * batch.momentum + of_unit_l1(gradient)
            move = steepest(batch.momentum, self.norm)
        else:
            direction = steepest(gradient, self.norm)
            batch.momentum = self.momentum * batch.momentum + (1 - self.momentum) * direction
            move = batch.momentum if self.norm == "l2" else batch.momentum.sign()
        x = batch.x - _like(size, batch.x) * move
        if self.radius is not None:
            origin = centre[batch.index]
            x = origin + project(x - origin, self.norm, self.radius)
        batch.x = x.clamp(0, 1)
        batch.step = batch.step + 1


def steepest(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """The unit direction in which the loss rises most under a norm; zero where the gradient is."""
    if norm == "linf":
        return gradient.sign()
    # Scaling by the largest entry first keeps the squares of tiny gradients from vanishing.
    largest = gradient.abs().flatten(1).amax(1)
    scaled = gradient / _like(torch.where(largest > 0, largest, torch.ones_like(largest)), gradient)
    length = torch.linalg.vector_norm(scaled.flatten(1), dim=1)
    return scaled / _like(torch.where(length > 0, length, torch.ones_like(length)), gradient)


def of_unit_l1(gradient: torch.Tensor) -> torch.Tensor:
    """Each sample's gradient divided by the sum of its absolute values; zero where it is zero."""
    largest = gradient.abs().flatten(1).amax(1)
    scaled = gradient / _like(torch.where(largest > 0, largest, torch.ones_like(largest)), gradient)
    total = scaled.abs().flatten(1).sum(1)
    return scaled / _like(torch.where(total > 0, total, torch.ones_like(total)), gradient)


def around(
    centre: torch.Tensor, norm: str, radius: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Random starts: a point of each image's ball (n, c, h, w), uniform in it, with pixels in [0, 1]."""
    shape = {"size": centre.shape, "generator": generator, "dtype": centre.dtype, "device": centre.device}
    if norm == "linf":
        offset = (2 * torch.rand(**shape) - 1) * radius
    else:
        dimension = centre[0].numel()
        length = torch.rand(len(centre), generator=generator, dtype=centre.dtype, device=centre.device)
        offset = steepest(torch.randn(**shape), norm) * _like(radius * length ** (1 / dimension), centre)
    return (centre + offset).clamp(0, 1)


def project(offset: torch.Tensor, norm: str, radius: float) -> torch.Tensor:
    """The nearest offset whose norm is at most ``radius``, sample by sample."""
    if norm == "linf":
        return offset.clamp(-radius, radius)
    length = torch.linalg.vector_norm(offset.flatten(1), dim=1)
    shrink = torch.where(length > radius, radius / length.clamp_min(1e-30), torch.ones_like(length))
    return offset * _like(shrink, offset)


@dataclass
class _Batch:
    """The samples under way: their rows in the whole, and the state of each."""

    index: torch.Tensor
    x: torch.Tensor
    momentum: torch.Tensor
    best: torch.Tensor
    loss: torch.Tensor
    step: torch.Tensor

    @classmethod
    def of(cls, start: torch.Tensor, index: torch.Tensor) -> _Batch:
        x = start[index]
        loss = x.new_full((len(index),), math.inf)
        return cls(index, x, torch.zeros_like(x), x.clone(), loss, torch.zeros_like(index))

    def keeping(self, mask: torch.Tensor) -> _Batch:
        return _Batch(*(value[mask] for value in vars(self).values()))

    def joined(self, other: _Batch) -> _Batch:
        if not len(other.index):
            return self
        both = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Batch(*(torch.cat(values) for values in both))


def _like(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Per-sample values (b,) in a shape that multiplies images (b, c, h, w)."""
    return values.view(-1, *[1] * (images.ndim - 1))
