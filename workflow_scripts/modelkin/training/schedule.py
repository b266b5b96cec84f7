"""How long and by which steps weights are changed: the settings of an optimiser and of its learning rate.

It imports no torch, so that a config is read without it; :mod:`modelkin.training.fit` makes them work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from modelkin.errors import ModelkinError, unknown_name

# The choices, and the settings that each of them alone takes.
OPTIMISERS = {"adamw": (), "adam": (), "sgd": ("momentum", "nesterov")}
SCHEDULES = {"one_cycle": (), "step": ("decay", "decay_at"), "constant": ()}
EPS_RAMP = 0.5  # share of an adversarial training in which its radius grows, if none is asked for
CHOICES = {"optimiser": OPTIMISERS, "schedule": SCHEDULES}


@dataclass(frozen=True)
class Schedule:
    """The optimiser of a training and the learning rate along it.

    Parameters
    ----------
    epochs, batch_size : int
        Passes over the images, and images of a step.
    learning_rate : float
        Where the rate begins; with "one_cycle", its peak.
    weight_decay : float
        Decoupled from the gradient by "adamw", part of it in "adam" and "sgd".
    optimiser : {"adamw", "adam", "sgd"}
    momentum : float
        Of "sgd".
    nesterov : bool
        Whether that momentum looks ahead.
    schedule : {"one_cycle", "step", "constant"}
    decay : float
        What the rate is multiplied by at each step of "step".
    decay_at : sequence of float
        When: below 1 a share of the epochs, rounded to a whole number of them and at least one, else so many
        epochs.
    drop_last : bool
        Whether images that do not fill a batch are left out of an epoch.

    Raises
    ------
    ModelkinError
        If a choice does not exist, or steps lie beyond the end.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    optimiser: str = "adamw"
    momentum: float = 0.9
    nesterov: bool = False
    schedule: str = "one_cycle"
    decay: float = 0.1
    decay_at: Sequence[float] = (1 / 3, 2 / 3)
    drop_last: bool = False

    def __post_init__(self):
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise unknown_name(key, getattr(self, key), choices)
        if self.nesterov and not self.momentum:
            raise ModelkinError("nesterov needs a momentum above 0.")
        if list(self.decay_at) != sorted(set(self.decay_at)):
            raise ModelkinError("decay_at must ascend, each number once.")
        for at in self.decay_at if self.schedule == "step" else ():
            if at >= 1 and (at != int(at) or at >= self.epochs):
                raise ModelkinError(
                    f"decay_at {at:g} is neither a share of the epochs below 1 nor a whole number of epochs "
                    f"before the end, which is after {self.epochs}."
                )

    def decay_epochs(self) -> list[int]:
        """The numbers of epochs after which the rate of a "step" schedule is multiplied by ``decay``."""
        return [int(at) if at >= 1 else max(1, round(at * self.epochs)) for at in self.decay_at]

    def batches(self, images: int) -> int:
        """The number of steps of an epoch with so many images; ModelkinError if there is none."""
        whole, rest = divmod(images, self.batch_size)
        batches = whole + (rest > 0 and not self.drop_last)
        if not batches:
            raise ModelkinError(
                f"drop_last leaves nothing of {images} training images, which do not fill a batch of "
                f"{self.batch_size}; lower batch_size."
            )
        return batches


# The settings that a config need not name, and what holds then.
DEFAULTS = {each.name: each.default for each in fields(Schedule) if each.default is not MISSING}


def unused_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings that the chosen optimiser and schedule do not take, each with the choice that does not.

    settings: of a :class:`Schedule`; what they leave out is at its default.
    """
    found = {}
    for key, choices in CHOICES.items():
        chosen = settings.get(key, DEFAULTS[key])
        for other, own in choices.items():
            if other != chosen:
                found |= {name: f"{key} {chosen}" for name in own if name in settings}
    return found
