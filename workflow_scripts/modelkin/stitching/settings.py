"""What may be asked of stitches: objectives, starts and modes, by their names. It imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

from modelkin.errors import ModelkinError, unknown_name

STARTS = ("least_squares", "random", "identity")
# As published (balogh2023 and its code), and a better rate from the same start.
MODES: dict[str, dict[str, Any]] = {
    "published": {"epochs": 30, "learning_rate": 1e-3, "schedule": "step"},
    "fast": {"epochs": 8, "learning_rate": 1e-2, "schedule": "one_cycle"},
}
SHARED: dict[str, Any] = {"optimiser": "adam", "weight_decay": 1e-4, "batch_size": 128, "drop_last": True}
ATTACKED = {"adversarial": ("alpha", 1.0), "trades": ("beta", 1.0)}


class Objective(NamedTuple):
    """What stitches are made for: matching, plain, adversarial (alpha) or trades (beta)."""

    name: str
    value: float = 0.0

    @property
    def label(self) -> str:
        """As tables and figures call it: ``adversarial-0.5``."""
        return f"{self.name}-{self.value:g}" if self.name in ATTACKED else self.name


class Training(NamedTuple):
    """One training of all places of a pair."""

    objective: Objective
    start: str
    mode: str
    repeat: int
    epochs: int | None = None  # the mode's, as is the rate
    learning_rate: float | None = None


def objective(asked: str | Mapping[str, Any]) -> Objective:
    """What an entry of ``objective`` means; ModelkinError if it means nothing."""
    name, keys = (asked, {}) if isinstance(asked, str) else next(iter(asked.items()))
    if name not in ("matching", "plain", *ATTACKED):
        raise unknown_name("objective of stitching", name, ("matching", "plain", *ATTACKED))
    if name not in ATTACKED:
        return Objective(name)
    key, default = ATTACKED[name]
    for other in keys or {}:
        if other != key:
            raise unknown_name(f"key of stitching's objective {name}", other, [key])
    value = float((keys or {}).get(key, default))
    if name == "adversarial" and not 0 <= value <= 1:
        raise ModelkinError(
            f"stitching: alpha is the share of a batch that is attacked, from 0 to 1, not {value:g}."
        )
    if name == "trades" and value <= 0:
        raise ModelkinError(f"stitching: beta of trades must be greater than 0, not {value:g}.")
    return Objective(name, value)


def trainings(section: Mapping[str, Any]) -> list[Training]:
    """All trainings that a section asks of each pair, in order."""
    objectives = [each for each in map(objective, as_list(section["objective"])) if each.name != "matching"]
    return [
        Training(*each)
        for each in product(
            objectives,
            as_list(section["start"]),
            as_list(section["mode"]),
            range(section["repeats"]),
            *(as_list(section.get(key)) for key in ("epochs", "learning_rate")),
        )
    ]


def baseline_training(section: Mapping[str, Any]) -> Training:
    """How stitches of networks with random weights are trained: of several epochs and rates by the first."""
    own = (as_list(section.get(key))[0] for key in ("epochs", "learning_rate"))
    return Training(Objective("plain"), "random", "fast", 0, *own)


def as_list(value: Any) -> list[Any]:
    """A value, or a list of them, as a list."""
    return list(value) if isinstance(value, list) else [value]


def schedule_settings(section: Mapping[str, Any], training: Training) -> dict[str, Any]:
    """What :class:`modelkin.training.schedule.Schedule` takes for a training."""
    own: dict[str, Any] = {"epochs": training.epochs, "learning_rate": training.learning_rate}
    own["batch_size"] = section.get("batch_size")
    named = {key: value for key, value in own.items() if value is not None}
    found = {**SHARED, **MODES[training.mode], **named}
    if plateau(section, training) is not None:
        # One cycle has its best epochs at its end; a rate that halves comes to a plateau by itself.
        found |= {"schedule": "step", "decay": 0.5, "decay_at": tuple(range(1, found["epochs"]))}
    return found


def plateau(section: Mapping[str, Any], training: Training) -> float | None:
    """By which share the loss of an epoch must fall, or the stitch is trained no further; None: no matter."""
    return section.get("plateau") if training.mode == "fast" else None


def pairs(asked: Any, names: Iterable[str]) -> list[tuple[str, str]]:
    """(front, end) of each pair: those that are listed, all fronts with all ends, or all of two models."""
    names = list(names)
    if asked == "all":
        return [(a, b) for a in names for b in names if a != b]
    if isinstance(asked, Mapping):
        return list(product(asked["fronts"], asked["ends"]))
    return [(front, end) for front, end in asked]


def pair_label(front: str, end: str, task: str = "") -> str:
    """How a pair is called in paths, on the images of a task if that is named."""
    return f"{front}--{end}{f'@{task}' if task else ''}"


def task_of(label: str) -> str:
    """The task in a pair's label, empty where none is named."""
    return label.partition("@")[2]


def views(section: Mapping[str, Any]) -> list[str]:
    """Which views a section asks for: ``inversions``, ``t_sne``, in that order."""
    return [each for each in ("inversions", "t_sne") if section.get(each)]
