"""Whether two models look at the same pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.comparison.measures.base import Estimate, Measure, checked, mean_of, same_samples
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


def prepare(maps: torch.Tensor) -> dict[str, torch.Tensor]:
    """Saliency maps (n, c, h, w), the signed gradients -> rows of unit length; a zero map stays zero.

    The paper does not say that it takes absolute values, so the sign counts. Two samples at least.
    """
    maps = checked(maps, "saliency maps")
    return {"unit": _in_rows(_unit, maps)}


def _unit(maps):
    length = torch.linalg.vector_norm(maps, dim=1, keepdim=True, dtype=torch.float64)
    unit = maps.double() / torch.where(length > 0, length, torch.ones_like(length))
    return unit.to(maps.dtype)


def _in_rows(function, *tensors):
    """The function of some rows at a time, for float64 copies of whole maps would fill the memory."""
    return torch.cat([function(*rows) for rows in zip(*(x.split(64) for x in tensors), strict=True)])


def compare(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> Estimate:
    """Mean cosine over samples; a sample whose map is zero in either model counts as 0."""
    first, second = a["unit"], b["unit"]
    same_samples(first, second)
    if first.shape[1] != second.shape[1]:
        raise ModelkinError(
            f"the two models' saliency maps have {first.shape[1]} and {second.shape[1]} values."
        )
    return mean_of(_in_rows(lambda x, y: (x.double() * y.double()).sum(1), first, second))


MEASURE = Measure(
    title="saliency cosine",
    definition=(
        "cosine of the two models' gradients of the true class's cross-entropy by the image, signs "
        "included, mean over images; an image whose gradient is zero counts as 0"
    ),
    unrelated="0 in the mean",
    takes="saliency",
    prepare=prepare,
    compare=compare,
    version=1,
    source="jones2022, Section 4.4",
    bounds=(-1.0, 1.0),
    probes=("natural",),
    invariances=("scale",),
)
