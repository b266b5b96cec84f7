"""Direct matching: the affine map that brings a front's values closest to an end's own, by least squares.

Sums of products are streamed over images in float64, of all pairs of cut points in one pass of either model;
maps and R2 follow from them alone. It knows nothing of classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch

from modelkin.errors import ModelkinError
from modelkin.networks.graph import CutPoint
from modelkin.stitching import layouts
from modelkin.stitching.stitched import Halves

TOLERANCE = 1e-10  # of the largest eigenvalue of the front's covariance: smaller ones are dropped
RIDGE = 1e-2  # of the mean eigenvalue, added to all of them by the family "ridge"
FAMILIES = ("least_squares", "ridge", "orthogonal")


class Moments(NamedTuple):
    """Centred sums of products of one pair of cut points, over images and positions; float64.

    Attributes
    ----------
    xx : Tensor of shape (p, p)
    xy : Tensor of shape (p, q)
    yy : Tensor of shape (q,)
        Of the end's channels, each with itself.
    x, y : Tensor of shapes (p,) and (q,)
        Means.
    rows : int
        Images times positions.
    """

    xx: torch.Tensor
    xy: torch.Tensor
    yy: torch.Tensor
    x: torch.Tensor
    y: torch.Tensor
    rows: int


class _Sums:
    """Sums about the first batch's means, from which centred ones follow without cancellation."""

    def __init__(self):
        self.rows = 0
        self.about: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        x, y = x.double().flatten(0, 1), y.double().flatten(0, 1)
        if self.about is None:
            self.about = x.mean(0), y.mean(0)
            p, q = x.shape[1], y.shape[1]
            self.xx, self.xy, self.yy = x.new_zeros(p, p), x.new_zeros(p, q), x.new_zeros(q)
            self.x, self.y = x.new_zeros(p), x.new_zeros(q)
        x, y = x - self.about[0], y - self.about[1]
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.yy += (y * y).sum(0)
        self.x += x.sum(0)
        self.y += y.sum(0)
        self.rows += len(x)

    def centred(self) -> Moments:
        if self.about is None:
            raise ModelkinError("there are no images to match on.")
        n, (x, y) = self.rows, (self.x / self.rows, self.y / self.rows)
        return Moments(
            self.xx - n * torch.outer(x, x),
            self.xy - n * torch.outer(x, y),
            self.yy - n * y * y,
            x + self.about[0],
            y + self.about[1],
            n,
        )


@torch.no_grad()
def moments(
    front: Halves,
    end: Halves,
    pairs: Sequence[tuple[CutPoint, CutPoint]],
    batches: Iterable[torch.Tensor],
) -> dict[tuple[str, str], Moments]:
    """Sums of products of many pairs of cut points, by one forward pass of each model.

    Parameters
    ----------
    front, end : Halves
    pairs : sequence of (CutPoint, CutPoint)
        Of the front and of the end; all of them must fit.
    batches : iterable of Tensor
        Images (b, c, h, w) in [0, 1].

    Returns
    -------
    dict
        By the names of the two cut points.
    """
    sums = {(a.name, b.name): _Sums() for a, b in pairs}
    fronts, ends = ({cut.name: cut for cut in cuts} for cuts in zip(*pairs, strict=True))
    for images in batches:
        x, y = _values(front, fronts, images), _values(end, ends, images)
        for a, b in pairs:
            frm, to = front.layout(a), end.layout(b)
            sums[a.name, b.name].add(layouts.moved(x[a.name], frm, to), to.rows(y[b.name]))
    return {key: each.centred() for key, each in sums.items()}


def _values(half: Halves, cuts: Mapping[str, CutPoint], images: torch.Tensor) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    half.graph.observe(
        half.model.prepared(images), lambda cut, value: found.__setitem__(cut.name, value), list(cuts)
    )
    return found


def solve(of: Moments, family: str = "least_squares") -> tuple[torch.Tensor, torch.Tensor]:
    """The map of a family that fits best.

    Parameters
    ----------
    of : Moments
        Of training images.
    family : {"least_squares", "ridge", "orthogonal"}
        "ridge" shrinks; "orthogonal" is a rotation and one scale (Schonemann 1966), of other widths with
        orthonormal rows or columns.

    Returns
    -------
    tuple of Tensor
        Weight (q, p) and bias (q,), float64.

    Raises
    ------
    ModelkinError
        If the front's values are the same for all images, or not finite.
    """
    if not all(torch.isfinite(value).all() for value in of[:5]):
        raise ModelkinError("values at the cut points are not finite, so nothing matches them.")
    values, vectors = torch.linalg.eigh(of.xx)
    scale = of.rows * float((of.x**2).mean()) * 1e-12
    if float(values[-1]) <= max(scale, 0.0):
        raise ModelkinError("the front gives the same for all images (it is dead there); cut it elsewhere.")
    if family == "orthogonal":
        u, s, v = torch.linalg.svd(of.xy, full_matrices=False)
        turn = (u @ v).T
        weight = turn * s.sum() / torch.trace(turn @ of.xx @ turn.T)
    else:
        kept = values > TOLERANCE * values[-1]
        shrunk = values[kept] + (RIDGE * values.clamp_min(0).mean() if family == "ridge" else 0)
        basis = vectors[:, kept]
        weight = (basis @ ((basis.T @ of.xy) / shrunk[:, None])).T
    return weight, of.y - weight @ of.x


def r2(weight: torch.Tensor, bias: torch.Tensor, of: Moments) -> float:
    """The share of the end's variance that a map explains, over all channels; below 0 if worse than the mean.

    Parameters
    ----------
    weight, bias : Tensor of shapes (q, p) and (q,)
    of : Moments
        Of the images on which it is judged; NaN if the end's values are the same for all of them.
    """
    total = float(of.yy.sum())
    if total <= 0:
        return float("nan")
    off = weight @ of.x + bias - of.y
    residual = total - 2 * float((weight * of.xy.T).sum()) + float(((weight @ of.xx) * weight).sum())
    return 1 - (residual + of.rows * float(off @ off)) / total
