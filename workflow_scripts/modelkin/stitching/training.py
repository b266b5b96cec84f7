"""Stitches trained while both donors stand still.

Plainly all places of a pair share one pass over the front; attacked images are of one place. It
knows nothing of files or of the config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from modelkin.data.images import Images
from modelkin.errors import NotFinite
from modelkin.networks.classifier import Classifier
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent
from modelkin.stitching.norms import with_drifting_norms
from modelkin.stitching.places import Place
from modelkin.stitching.stitched import Halves, Stitch, stitched_model
from modelkin.training.fit import fit
from modelkin.training.objectives import Robustness, in_eval_mode
from modelkin.training.schedule import Schedule


class Trained(NamedTuple):
    """Stitches of all places after a training; ``diverged`` holds at which step, or None, for each.

    models: those in which they were trained, at each place, where batch norms drifted; else empty.
    """

    stitches: list[Stitch]
    diverged: list[int | None]
    history: list[dict[str, float]]
    models: list[Classifier]


class _Together(nn.Module):
    """Stitches of several places, whose gradients come from one pass over the front."""

    def __init__(self, front: Halves, end: Halves, places: Sequence[Place], stitches: Sequence[Stitch]):
        super().__init__()
        self.front, self.places, self.steps = front, places, 0
        self.stitches = nn.ModuleList(stitches)
        self.ends = nn.ModuleList(end.graph.end(place.end) for place in places)
        self.diverged: list[int | None] = [None] * len(places)

    def objective(self, model, x: torch.Tensor, y: torch.Tensor, share: float):
        """A loss whose gradient by each stitch is that of its own cross-entropy; and the last logits.

        Each end is run back as soon as it has been run, so the values of one are held at a time.
        """
        self.steps += 1
        found: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            self.front.graph.observe(
                self.front.model.prepared(x),
                lambda cut, value: found.__setitem__(cut.name, value),
                [place.front.name for place in self.places],
            )
        loss, logits, alive = x.new_zeros(()), x, 0
        for number, (place, stitch, end) in enumerate(
            zip(self.places, self.stitches, self.ends, strict=True)
        ):
            if self.diverged[number] is not None:
                continue
            logits = end(stitch(found[place.front.name]))
            own = cross_entropy(logits, y)
            parameters = list(stitch.parameters())
            gradients = torch.autograd.grad(own, parameters)
            if not torch.isfinite(own) or not all(torch.isfinite(each).all() for each in gradients):
                self.diverged[number] = self.steps
                continue
            alive += 1
            by_hand = sum((p * g).sum() for p, g in zip(parameters, gradients, strict=True))
            loss = loss + by_hand + (own - by_hand).detach()
        if not alive:
            raise NotFinite(f"training diverged at every place, by step {self.steps}.")
        return loss, logits.detach()


def train_stitches(
    front: Halves,
    end: Halves,
    places: Sequence[Place],
    stitches: Sequence[Stitch],
    images: Images,
    *,
    schedule: Schedule,
    robustness: Mapping[str, Any] | None = None,
    share: float = 1.0,
    drifting: bool = False,
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    after_epoch: Callable[[int], None] | None = None,
    device: torch.device | str = "cpu",
) -> Trained:
    """Train stitches from where they are; nothing of the donors changes.

    Parameters
    ----------
    front, end : Halves
    places : sequence of Place
    stitches : sequence of Stitch
        One for each place, changed in place.
    images : Images
    schedule : Schedule
    robustness : mapping, optional
        Of :class:`modelkin.training.objectives.Robustness`; plain training without.
    share : float
        alpha of balogh2023: of the images of each batch, those that are attacked, in [0, 1].
    drifting : bool
        Whether the donors' batch norms take each batch's own statistics and keep a running mean of them, in
        copies of the donors of which each place has its own.
    augment, device
        As in :func:`modelkin.training.fit.fit`.
    after_epoch : callable, optional
        Told how many epochs are done.

    Returns
    -------
    Trained
        A stitch whose loss or gradient was not finite is flagged and trained no further.
    """
    if robustness is None and not drifting:
        together = _Together(front, end, places, stitches)
        history = _run(
            together, together.objective, images, schedule, together.stitches, augment, device, after_epoch
        )
        return Trained(list(stitches), together.diverged, history, [])
    diverged: list[int | None] = []
    histories, models = [], []
    objective = _plain if robustness is None else _attacked(Robustness(**robustness), share)
    for place, stitch in zip(places, stitches, strict=True):
        model = stitched_model(front, place.front, stitch, end, place.end)
        model = with_drifting_norms(model) if drifting else model
        models.append(model)
        steps, fixed = _Counted(objective), [] if drifting else [model]
        try:
            histories.append(
                _run(model, steps, images, schedule, stitch, augment, device, after_epoch, fixed)
            )
            diverged.append(None)
        except NotFinite:
            diverged.append(steps.count)
    history = histories[0] if histories else []
    return Trained(list(stitches), diverged, history, models if drifting else [])


def _plain(model: Classifier, x: torch.Tensor, y: torch.Tensor, done: float):
    logits = model(x)
    return cross_entropy(logits, y), logits


class _Counted:
    def __init__(self, objective: Callable):
        self.objective, self.count = objective, 0

    def __call__(self, *given):
        self.count += 1
        return self.objective(*given)


def _attacked(robust: Robustness, share: float) -> Callable:
    """The mean loss of a batch of which the first share is attacked from the images themselves."""
    if robust.recipe == "trades":
        return robust.objective
    attack = pgd_descent(robust.norm, robust.eps, robust.attack_steps, robust.attack_step * robust.eps)

    def objective(model: Classifier, x: torch.Tensor, y: torch.Tensor, done: float):
        number = round(share * len(x))
        if number:
            with in_eval_mode(model):
                near = untargeted(model, x[:number], y[:number], attack)
            x = torch.cat([near, x[number:]])
        logits = model(x)
        return cross_entropy(logits, y), logits

    return objective


def _run(
    model, objective, images, schedule, stitches, augment, device, after_epoch, fixed=None
) -> list[dict[str, float]]:
    history = []
    for report in fit(
        model,
        images,
        objective,
        schedule,
        test=None,
        parameters=list(stitches.parameters()),
        eval_modules=[model] if fixed is None else fixed,
        augment=augment,
        device=device,
    ):
        history.append(report)
        if after_epoch is not None:
            after_epoch(int(report["epoch"]))
    return history
