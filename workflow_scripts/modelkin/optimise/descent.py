"""The one optimisation engine: descent on images, each sample for itself.

Inversion, attacks and adversarial training differ only in the loss, in the rule by which an image moves
(:mod:`modelkin.optimise.steps`), in the ball it must stay in and in when it is
finished. It knows nothing of models, classes or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from modelkin.batching import MemoryFittingBatches
from modelkin.errors import ModelkinError, NotFinite
from modelkin.optimise.steps import State, StepRule, per_sample, steepest
from modelkin.optimise.threats.base import Perturbation

Losses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Descended(NamedTuple):
    """What a descent found.

    Attributes
    ----------
    images : Tensor of shape (n, c, h, w)
    losses : Tensor of shape (n,)
        At these images.
    steps : Tensor of int, shape (n,)
        Steps that each took.
    """

    images: torch.Tensor
    losses: torch.Tensor
    steps: torch.Tensor


class Ball(NamedTuple):
    """Where images must stay: within a radius of where they are measured from.

    Attributes
    ----------
    norm : {"l2", "linf"}
    radius : float
        In units of pixels in [0, 1].
    """

    norm: str
    radius: float


@dataclass(frozen=True)
class Descent:
    """A descent on images, each sample for itself.

    Attributes
    ----------
    steps : int
    rule : StepRule
        How images move (see :mod:`modelkin.optimise.steps`).
    ball : Ball, optional
        Around the start, never left; no limit if None.
    projection : callable, optional
        Brings what moves back into its set, in place of the ball and of [0, 1]; then it need not be images.
    stop_below : float, optional
        A sample whose loss falls below leaves the batch, and the next one takes its place.
    keep : {"best", "last"}
        Which iterate of each sample is returned; the best may be the last.
    """

    steps: int
    rule: StepRule
    ball: Ball | None = None
    projection: Callable[[torch.Tensor], torch.Tensor] | None = None
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
        """Descend from some images.

        Parameters
        ----------
        losses : callable
            ``losses(x, index)`` gives the losses (b,) of images x (b, c, h, w), which are the samples with
            these indices;
            each sample's loss must depend on it alone.
        start : Tensor of shape (n, c, h, w)
            In [0, 1], where the images stay.
        batch_size : int, optional
            Images at a time; all by default, and fewer where memory runs out.
        centre : Tensor of shape (n, c, h, w), optional
            Of the ball; the start by default.
        progress : callable, optional
            Called at every step with the finished samples, the evaluations so far, and the median of the
            lowest losses.

        Returns
        -------
        Descended

        Raises
        ------
        ModelkinError
            If a loss is not finite.
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

    def run_from_random(
        self, losses: Losses, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> Descended:
        """Descend from a random point of the ball around each image.

        Parameters
        ----------
        losses : callable
            As in :meth:`Descent.run`.
        images : Tensor of shape (n, c, h, w)
            In [0, 1].
        generator : torch.Generator, optional
            What is drawn, is drawn from it.

        Returns
        -------
        Descended

        Raises
        ------
        ModelkinError
            If there is no ball, or a loss is not finite.
        """
        if self.ball is None:
            raise ModelkinError("a descent without a ball has no random start.")
        return self.run(losses, around(images, self.ball, generator), centre=images)

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
        if self.projection is not None:
            batch.x = self.projection(x)
        else:
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
        raise NotFinite("the model returns NaN or infinite values, so there is no direction to descend.")
    return gradient, loss


@dataclass(frozen=True)
class PerturbationDescent:
    """A descent on the variables of a perturbation, each image for itself.

    Attributes
    ----------
    perturbation : Perturbation
        See :mod:`modelkin.optimise.threats.base`.
    radius : float
        In units of the threat.
    descent : Descent
        Of the variables; its projection is that of the perturbation.
    """

    perturbation: Perturbation
    radius: float
    descent: Descent

    def run_from_random(
        self, losses: Losses, images: torch.Tensor, generator: torch.Generator | None = None
    ) -> Descended:
        """Descend from variables that are drawn for each image.

        Parameters
        ----------
        losses : callable
            As in :meth:`Descent.run`.
        images : Tensor of shape (n, c, h, w)
            In [0, 1].
        generator : torch.Generator, optional
            What is drawn, is drawn from it.

        Returns
        -------
        Descended
            Its images are perturbed by the variables that were found.

        Raises
        ------
        ModelkinError
            If such images cannot be perturbed, or a loss is not finite.
        """
        self.perturbation.check(images.shape[1:])
        start, drawn = self.perturbation.draw(images, generator)

        def apply(variables: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            own = tuple(each[index] for each in drawn)
            return self.perturbation.apply(images[index], variables, self.radius, own)

        found = self.descent.run(lambda v, index: losses(apply(v, index), index), start)
        fitting, index = MemoryFittingBatches(), torch.arange(len(images), device=images.device)
        with torch.no_grad():
            return found._replace(images=torch.cat(fitting(apply, found.images, index)))


def around(centre: torch.Tensor, ball: Ball, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw a point of each image's ball, uniformly, as a random start.

    Parameters
    ----------
    centre : Tensor of shape (n, c, h, w)
        In [0, 1].
    ball : Ball
    generator : torch.Generator, optional

    Returns
    -------
    Tensor of shape (n, c, h, w)
        Clipped to [0, 1].
    """
    shape: dict[str, Any] = {
        "size": centre.shape,
        "generator": generator,
        "dtype": centre.dtype,
        "device": centre.device,
    }
    norm, radius = ball
    if norm == "linf":
        offset = (2 * torch.rand(**shape) - 1) * radius
    else:
        dimension = centre[0].numel()
        length = torch.rand(len(centre), generator=generator, dtype=centre.dtype, device=centre.device)
        offset = steepest(torch.randn(**shape), norm) * per_sample(radius * length ** (1 / dimension), centre)
    return (centre + offset).clamp(0, 1)


def project(offset: torch.Tensor, ball: Ball) -> torch.Tensor:
    """Project offsets into a ball, sample by sample.

    Parameters
    ----------
    offset : Tensor of shape (n, c, h, w)
        From the centre of the ball.
    ball : Ball

    Returns
    -------
    Tensor of shape (n, c, h, w)
        The nearest offsets within it.
    """
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
        state = {key: value[mask] for key, value in self.state.items()}
        return _Batch(**{name: value[mask] for name, value in self._own().items()}, state=state)

    def joined(self, other: _Batch) -> _Batch:
        if not len(other.index):
            return self
        its = other._own()
        own = {name: torch.cat([value, its[name]]) for name, value in self._own().items()}
        state = {key: torch.cat([value, other.state[key]]) for key, value in self.state.items()}
        return _Batch(**own, state=state)

    def _own(self) -> dict[str, torch.Tensor]:
        """All but what the rule remembers."""
        return {name: value for name, value in vars(self).items() if name != "state"}
