"""SVCCA: canonical correlations of the directions that hold most variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison import canonical
from modelkin.comparison.measures.base import Estimate, Measure, centred, same_samples

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(x: torch.Tensor, variance: int = 99) -> dict[str, torch.Tensor]:
    """x (n, p) -> an orthonormal basis (n, r) of the principal components that hold so much variance.

    variance: in percent, at most 100.
    """
    return {"basis": canonical.basis(centred(x), min(variance, 100))}


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean canonical correlation, over as many directions as the narrower basis has.

    Raises Undefined if the two bases have n directions together or more. The standard error is to first
    order, with the directions of all samples: good where samples are many times these, too small where they
    are few.
    """
    same_samples(a["basis"], b["basis"])
    found = canonical.correlate(a["basis"], b["basis"])
    weights = torch.full_like(found.correlations, 1 / len(found.correlations))
    return Estimate(float(found.correlations.mean()), canonical.weighted_error(found, weights))


MEASURE = Measure(
    title="SVCCA",
    definition=(
        "mean canonical correlation of the principal components that hold variance percent, over as "
        "many directions as the narrower model keeps"
    ),
    unrelated=(
        "above 0, the more so the fewer samples beside directions; independent features have .35 (n = "
        "60, p = 10), no value (n = 60, p = 64), .12 (n = 500, p = 10), .31 (n = 500, p = 64)"
    ),
    takes="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="Raghu et al. (2017), Section 2.1",
    settings={"variance": 99},
    setting_words={"variance": "{}% of the variance"},
    invariances=("permutation", "rotation", "scale", "shift"),
)
