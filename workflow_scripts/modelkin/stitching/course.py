"""How far the stitches of one training are: which go on, and what of it outlives an interruption."""

from __future__ import annotations

from typing import Any

import torch

from modelkin.training.resuming import Keeper


class Course:
    """Steps that were made, and for each stitch where it diverged or came to a plateau.

    Parameters
    ----------
    stitches : int

    Attributes
    ----------
    steps : int
    diverged : list of int or None
        The step at which a loss or gradient was not finite.
    flat : list of int or None
        The epoch after which the loss hardly fell.
    """

    def __init__(self, stitches: int):
        self.steps = 0
        self.diverged: list[int | None] = [None] * stitches
        self.flat: list[int | None] = [None] * stitches
        self._before: list[float | None] = [None] * stitches
        self._losses: list[list[torch.Tensor]] = [[] for _ in range(stitches)]

    def alive(self) -> list[int]:
        """The numbers of those that are trained on."""
        return [
            number
            for number, ends in enumerate(zip(self.diverged, self.flat, strict=True))
            if ends == (None, None)
        ]

    def add(self, number: int, loss: torch.Tensor) -> None:
        """Note the loss of one stitch in a step."""
        self._losses[number].append(loss.detach())

    def end_epoch(self, epoch: int, plateau: float | None) -> None:
        """Stop those whose mean loss is by less than a share below that of the epoch before."""
        for number in self.alive():
            mean, before = float(torch.stack(self._losses[number]).mean()), self._before[number]
            if plateau is not None and before is not None and mean > (1 - plateau) * before:
                self.flat[number] = epoch
            self._before[number] = mean
        self._losses = [[] for _ in self._losses]

    @property
    def stopped_at(self) -> int | None:
        """After which epoch no stitch was trained on, None while one is."""
        return None if self.alive() else max((each for each in self.flat if each is not None), default=None)

    def epochs(self, trained: int) -> list[int]:
        """After how many epochs each stitch was trained no further, of a training of so many."""
        return [trained if each is None else each for each in self.flat]

    def told(self) -> dict[str, Any]:
        """All of it between two epochs."""
        kept = {"steps": self.steps, "diverged": self.diverged, "flat": self.flat, "before": self._before}
        return {key: list(value) if isinstance(value, list) else value for key, value in kept.items()}

    def set(self, told: dict[str, Any]) -> None:
        """Bring it back to what was told."""
        self.steps, self._before = told["steps"], list(told["before"])
        self.diverged[:], self.flat[:] = told["diverged"], told["flat"]


class KeptCourse:
    """A keeper that keeps the course of a training beside its state."""

    def __init__(self, keeper: Keeper, course: Course, plateau: float | None):
        self._keeper, self._course, self._plateau = keeper, course, plateau

    def saved(self) -> dict[str, Any] | None:
        """The state that was saved last, or None; the course is as it was then."""
        found = self._keeper.saved()
        if found is not None:
            self._course.set(found["course"])
        return found

    def save(self, state: dict[str, Any]) -> None:
        """End an epoch, and keep it."""
        self._course.end_epoch(len(state["reports"]), self._plateau)
        self._keeper.save(state | {"course": self._course.told()})
