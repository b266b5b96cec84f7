"""Direct matching: the affine map that brings a front's values closest to an end's own, by least squares.

Sums of products are streamed over images in float64, of all pairs of cut points in one pass of either model;
maps and R2 follow from them alone. It knows nothing of classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from modelkin.errors import ModelkinError
from modelkin.networks.graph import CutPoint
from modelkin.stitching import layouts
from modelkin.stitching.layouts import Layout
from modelkin.stitching.stitched import Halves

TOLERANCE = 1e-10  # of the largest eigenvalue of the front's covariance: smaller ones are dropped
RIDGE = 1e-2  # of the mean eigenvalue, added to all of them by the family "ridge"
NUMBERS = 2**22  # of float64 at a time: few enough that memory is used again, not asked for anew
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


class _Side:
    """Cut points of one model whose values lie alike: channels side by side, about their first means."""

    def __init__(self, of: Mapping[str, Layout]):
        self.layouts, self.like = of, next(iter(of.values()))
        self.about: Any = None
        ends = np.cumsum([own.channels for own in of.values()]).tolist()
        self.parts = dict(zip(of, map(slice, [0, *ends[:-1]], ends), strict=True))

    def rows(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Values at all of them -> (n, positions, channels), float64."""
        made = torch.cat([own.rows(values[name]).double() for name, own in self.layouts.items()], 2)
        if self.about is None:
            self.about = made.mean((0, 1))
        return made.sub_(self.about)


class _Ends(_Side):
    """Those of the end, with the sums that depend on no front."""

    y: Any = 0.0
    yy: Any = 0.0

    def rows(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        made = super().rows(values)
        self.y, self.yy = self.y + made.sum((0, 1)), self.yy + made.square().sum((0, 1))
        return made


class _Sums:
    """Sums of products of a front's channels with themselves and with an end's, over the end's positions."""

    def __init__(self, front: _Side, end: _Ends):
        self.front, self.end, self.rows = front, end, 0
        self.x: Any = 0.0
        self.xy: Any = 0.0
        self.xx: dict[str, Any] = dict.fromkeys(front.parts, 0.0)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Rows of the two sides, (n, positions, channels)."""
        self.rows += len(y) * y.shape[1]
        x, scaled, y = (each.flatten(0, 1) for each in self._met(x, y))
        self.x, self.xy = self.x + scaled.sum(0), self.xy + x.T @ y
        for name, part in self.front.parts.items():
            self.xx[name] = self.xx[name] + x[:, part].T @ scaled[:, part]

    def _met(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """x, g and y at the same positions: sums of x g and of x y are those of products at the end's.

        Bilinear scaling U is linear, so (U x)(U x) and (U x) y sum to x (U'U x) and x (U'y), which are over
        the front's positions; where these are fewer it is cheaper so.
        """
        front, end = self.front.like, self.end.like
        if front.tokens or end.tokens or not (front.grid and end.grid) or front.positions >= end.positions:
            moved = layouts.moved_rows(x, front, end)
            return moved, moved, y
        up = [layouts.scaling(old, new).to(x) for old, new in zip(front.grid, end.grid, strict=True)]
        down = [each.T for each in up]
        twice = [each.T @ each for each in up]
        return x, _along(twice, x, front.grid), _along(down, y, end.grid)

    def centred(self, a: str, b: str) -> Moments:
        """Those of one cut point of each."""
        (p, q), n = (self.front.parts[a], self.end.parts[b]), self.rows
        x, y = self.x[p] / n, self.end.y[q] / n
        return Moments(
            self.xx[a] - n * torch.outer(x, x),
            self.xy[p, q] - n * torch.outer(x, y),
            self.end.yy[q] - n * y * y,
            x + self.front.about[p],
            y + self.end.about[q],
            n,
        )


def _along(matrices: Sequence[torch.Tensor], rows: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Rows (n, positions of the grid, channels) by one matrix along each axis of the grid."""
    n, _, channels = rows.shape
    high = matrices[0] @ rows.reshape(n, grid[0], grid[1] * channels)
    wide = matrices[1] @ high.reshape(-1, grid[1], channels)
    return wide.reshape(n, -1, channels)


def of_rows(x: torch.Tensor, y: torch.Tensor, size: int = 4096) -> Moments:
    """Sums of products of rows that are there already, (n, p) and (n, q), so many of them at a time."""
    front, end = _Side({"x": layouts.layout(x.shape[1:])}), _Ends({"y": layouts.layout(y.shape[1:])})
    sums = _Sums(front, end)
    for a, b in zip(x.split(size), y.split(size), strict=True):
        sums.add(front.rows({"x": a}), end.rows({"y": b}))
    return sums.centred("x", "y")


@torch.no_grad()
def moments(
    front: Halves,
    end: Halves,
    pairs: Sequence[tuple[CutPoint, CutPoint]],
    batches: Iterable[torch.Tensor],
) -> dict[tuple[str, str], Moments]:
    """Sums of products of many pairs of cut points, by one forward pass of each model.

    What a cut point has alone is summed once for each resolution that it is brought to; cut points whose
    values lie alike share one product.

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

    Raises
    ------
    ModelkinError
        If there are no images.
    """
    fronts, ends = ({cut.name: cut for cut in cuts} for cuts in zip(*pairs, strict=True))
    xs, ys = _sides(front, fronts, _Side), _sides(end, ends, _Ends)
    side = {("x", name): each for each in xs for name in each.parts}
    side |= {("y", name): each for each in ys for name in each.parts}
    sums: dict[tuple[_Side, _Side], _Sums] = {}
    for a, b in pairs:
        both = side["x", a.name], side["y", b.name]
        sums.setdefault(both, _Sums(*both))
    numbers = sum(math.prod(cut.shape) for cuts in (fronts, ends) for cut in cuts.values())
    parts = (part for images in batches for part in images.split(max(1, NUMBERS // numbers)))
    for images in parts:
        found = values_at(front, fronts, images)
        rows: dict[_Side, torch.Tensor] = {each: each.rows(found) for each in xs}
        found = values_at(end, ends, images)
        rows |= {each: each.rows(found) for each in ys}
        for both, each in sums.items():
            each.add(*(rows[one] for one in both))
    if any(not each.rows for each in sums.values()):
        raise ModelkinError("there are no images to match on.")
    return {
        (a.name, b.name): sums[side["x", a.name], side["y", b.name]].centred(a.name, b.name) for a, b in pairs
    }


def _sides(half: Halves, cuts: Mapping[str, CutPoint], kind: type[_Side]) -> list[Any]:
    alike: dict[tuple, dict[str, Layout]] = {}
    for name, cut in cuts.items():
        own = half.layout(cut)
        alike.setdefault((own.grid, own.tokens, own.positions), {})[name] = own
    return [kind(each) for each in alike.values()]


def values_at(half: Halves, cuts: Iterable[str], images: torch.Tensor) -> dict[str, torch.Tensor]:
    """A model's values at cut points of these names, for images (b, c, h, w) in [0, 1], by one pass."""
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
