"""How far apart two models' decision boundaries are, seen from the same images in the same directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import Estimate, Measure, checked, mean_of, same_samples
from modelkin.errors import Undefined

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")

HALVINGS = 10  # of the step in which a boundary was crossed, to say where


def prepare(distances: torch.Tensor) -> dict[str, torch.Tensor]:
    """distances (n, 2): whether the model is right on each image, and how far its boundary is."""
    distances = checked(distances, "distances to the decision boundary")
    return {"right": distances[:, 0] > 0, "distance": distances[:, 1]}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean absolute difference of the two distances over the images that both models get right, n of them.

    Raises Undefined if there is none.
    """
    same_samples(a["right"], b["right"])
    both = a["right"] & b["right"]
    n = int(both.sum())
    if n == 0:
        raise Undefined(
            "no image is classified correctly by both models, so their boundaries cannot be compared; give "
            "more images or leave out the model that is at chance level."
        )
    apart = (a["distance"][both].double() - b["distance"][both].double()).abs()
    return mean_of(apart)._replace(n=n) if n > 1 else Estimate(float(apart), math.nan, n)


MEASURE = Measure(
    title="distance between decision boundaries",
    definition=(
        "mean absolute difference of how far the two models' decision boundaries are from an image "
        "along the direction of the config, over images that both get right"
    ),
    unrelated="no fixed distance, and no chance level",
    takes="distances",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Tramer et al. 2017, Section 5.1",
    bounds=(0.0, float("inf")),
    direction="distance",
    unit="pixels in [0, 1]",
    probes=("natural",),
    chance=False,  # of other images' distances one model alone would decide
)
