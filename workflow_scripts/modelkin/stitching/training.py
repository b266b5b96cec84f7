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
from modelkin.networks.classifier import Classifier, frozen
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent
from modelkin.stitching.course import Course, KeptCourse
from modelkin.stitching.norms import with_drifting_norms
from modelkin.stitching.places import Place
from modelkin.stitching.stitched import Halves, Stitch, stitched_model
from modelkin.training.fit import fit
from modelkin.training.objectives import Robustness, in_eval_mode
from modelkin.training.resuming import Keeper
from modelkin.training.schedule import Schedule

Keepers = Callable[[str], Keeper]  # of the runs of a training, by their names


class Trained(NamedTuple):
    """Stitches of all places after a training; ``diverged`` holds at which step, or None, for each.

    epochs: after how many each was trained no further.
    models: those in which they were trained, at each place, where batch norms drifted; else empty.
    """

    stitches: list[Stitch]
    diverged: list[int | None]
    epochs: list[int]
    history: list[dict[str, float]]
    models: list[Classifier]


class _Together(nn.Module):
    """Stitches of several places, whose gradients come from one pass over the front."""

    def __init__(self, front: Halves, end: Halves, places: Sequence[Place], stitches: Sequence[Stitch]):
        super().__init__()
        self.front, self.places, self.course = front, places, Course(len(places))
        self.stitches = nn.ModuleList(stitches)
        self.ends = nn.ModuleList(end.graph.end(place.end) for place in places)

    def objective(self, model, x: torch.Tensor, y: torch.Tensor, share: float):
        """A loss whose gradient by each stitch is that of its own cross-entropy; and the last logits.

        Each end is run back as soon as it has been run, so the values of one are held at a time.
        """
        self.course.steps += 1
        alive = self.course.alive()
        found: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            self.front.graph.observe(
                self.front.model.prepared(x),
                lambda cut, value: found.__setitem__(cut.name, value),
                [self.places[number].front.name for number in alive],
            )
        loss, logits = x.new_zeros(()), x
        for number in alive:
            stitch = self.stitches[number]
            logits = self.ends[number](stitch(found[self.places[number].front.name]))
            own = cross_entropy(logits, y)
            parameters = list(stitch.parameters())
            gradients = torch.autograd.grad(own, parameters)
            if not torch.isfinite(own) or not all(torch.isfinite(each).all() for each in gradients):
                self.course.diverged[number] = self.course.steps
                continue
            self.course.add(number, own)
            by_hand = sum((p * g).sum() for p, g in zip(parameters, gradients, strict=True))
            loss = loss + by_hand + (own - by_hand).detach()
        if not self.course.alive():
            raise NotFinite(f"no stitch is left that can be trained, by step {self.course.steps}.")
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
    plateau: float | None = None,
    keepers: Keepers | None = None,
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
    plateau : float, optional
        A stitch is trained no further after an epoch whose mean loss is by less than this share below that of
        the epoch before.
    keepers : callable, optional
        Gives the keeper of each run, of which plain training has one and any other one for each place; see
        :func:`modelkin.training.fit.fit`.

    Returns
    -------
    Trained
        A stitch whose loss or gradient was not finite is flagged and trained no further.
    """
    told = {"augment": augment, "device": device, "after_epoch": after_epoch, "plateau": plateau}
    if robustness is None and not drifting:
        together = _Together(front, end, places, stitches)
        keeper = keepers("all") if keepers else None
        course, parts = together.course, together.stitches
        history = _run(together, together.objective, images, schedule, parts, course, keeper, **told)
        return Trained(list(stitches), course.diverged, course.epochs(len(history)), history, [])
    made = Trained(list(stitches), [], [], [], [])
    objective = _plain if robustness is None else _attacked(Robustness(**robustness), share)
    for number, (place, stitch) in enumerate(zip(places, stitches, strict=True)):
        model = stitched_model(front, place.front, stitch, end, place.end)
        if drifting:
            model = with_drifting_norms(model)
            made.models.append(model)
        course, fixed = Course(1), [] if drifting else [model]
        keeper = keepers(str(number)) if keepers else None
        steps = _Counted(objective, course)
        history = _run(model, steps, images, schedule, stitch, course, keeper, fixed, **told)
        made.diverged.append(course.diverged[0])
        made.epochs.extend(course.epochs(len(history)))
        made.history.extend(history if not number else [])
    return made


def _plain(model: Classifier, x: torch.Tensor, y: torch.Tensor, done: float):
    logits = model(x)
    return cross_entropy(logits, y), logits


class _Counted:
    def __init__(self, objective: Callable, course: Course):
        self.objective, self.course = objective, course

    def __call__(self, *given):
        self.course.steps += 1
        loss, logits = self.objective(*given)
        self.course.add(0, loss)
        return loss, logits


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
    model,
    objective,
    images,
    schedule,
    stitches,
    course: Course,
    keeper: Keeper | None,
    fixed=None,
    *,
    augment,
    after_epoch,
    plateau,
    device,
) -> list[dict[str, float]]:
    """Epochs until the last one, or until no stitch is trained on; what each was like."""
    history: list[dict[str, float]] = []
    with_course = None if keeper is None else KeptCourse(keeper, course, plateau)
    epochs = fit(
        model,
        images,
        objective,
        schedule,
        test=None,
        parameters=list(stitches.parameters()),
        eval_modules=[model] if fixed is None else fixed,
        augment=augment,
        keeper=with_course,
        device=device,
    )
    try:
        for report in epochs:
            history.append(report)
            if with_course is None:
                course.end_epoch(int(report["epoch"]), plateau)
            if after_epoch is not None:
                after_epoch(int(report["epoch"]))
            if course.stopped_at == len(history):
                break
    except NotFinite:
        for number in course.alive():
            course.diverged[number] = course.steps
    frozen(model)
    return history
