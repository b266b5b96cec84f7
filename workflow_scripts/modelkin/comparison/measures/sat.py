"""Whether images made to fool one model fool the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import Estimate, Measure, checked, jackknife, same_samples
from modelkin.errors import Undefined

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")

FLOOR = 0.01  # percent; the paper's eps_s, whose value it does not give


def prepare(outcomes: torch.Tensor) -> dict[str, torch.Tensor]:
    """outcomes (n, 2) of 0 and 1: whether the model is right on each image, and whether it is wrong on the
    other model's adversarial image of it.
    """
    outcomes = checked(outcomes, "outcomes of attacks").bool()
    return {"right": outcomes[:, 0], "fooled": outcomes[:, 1]}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """log max(floor, 100 m), m being the mean over images that both models get right of the share of the two
    that the other's adversarial image fools; natural logarithm, with the exact delete-one jackknife.

    n is the number of those images. Raises Undefined if there is none.
    """
    same_samples(a["right"], b["right"])
    both = a["right"] & b["right"]
    n = int(both.sum())
    if n == 0:
        raise Undefined(
            "no image is classified correctly by both models, so attacks cannot be compared; give more "
            "images or leave out the model that is at chance level."
        )
    fooled = (a["fooled"][both].double() + b["fooled"][both].double()) / 2
    value = score(fooled.mean())
    if n < 2:
        return Estimate(float(value), math.nan, n)
    return jackknife(value, score((fooled.sum() - fooled) / (n - 1)))._replace(n=n)


def score(share: torch.Tensor) -> torch.Tensor:
    """Equation (1) of a share of fooled images, or of several."""
    return (100 * share).clamp_min(FLOOR).log()


MEASURE = Measure(
    title="similarity by attack transferability",
    definition=(
        "ln(100 m), m being the mean over images that both models get right of the share of the two "
        "models that the other's adversarial image fools"
    ),
    unrelated=(
        "-4.61 where no image fools the other model; images that would fool any model count too, and "
        "there is no chance level"
    ),
    takes="outcomes",
    prepare=prepare,
    compare=compare,
    version=2,  # 2: no chance level
    source="hwang2024, equation (1)",
    unit="ln %",
    bounds=(math.log(FLOOR), math.log(100)),
    probes=("adversarial",),
    chance=False,  # a mean over images is the same in any order
)
