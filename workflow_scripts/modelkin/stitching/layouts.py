"""How the values at two cut points lie, and how those of one are brought to the places of the other.

It knows shapes, and nothing of networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

from modelkin.errors import ModelkinError


@dataclass(frozen=True)
class Layout:
    """How the value of one image lies at a cut point.

    Attributes
    ----------
    shape : tuple of int
        As the network has it.
    channels : int
        Numbers at each position: what a stitch maps.
    grid : tuple of int or None
        Rows and columns of the positions, None where they have no such order.
    tokens : int
        Positions before the grid that belong to none of its places, as a class token; 0 for images.
    last : bool
        Whether channels are the last dimension.
    """

    shape: tuple[int, ...]
    channels: int
    grid: tuple[int, int] | None
    tokens: int
    last: bool

    @property
    def positions(self) -> int:
        """How many positions share the stitch."""
        return math.prod(self.shape) // self.channels

    def rows(self, values: torch.Tensor) -> torch.Tensor:
        """Values (n, *shape) as (n, positions, channels)."""
        if len(self.shape) == 1:
            return values[:, None]
        return values.flatten(1, -2) if self.last else values.flatten(2).transpose(1, 2)

    def values(self, rows: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`rows`."""
        ordered = rows if self.last else rows.transpose(1, 2)
        return ordered.reshape(len(rows), *self.shape)

    def __str__(self) -> str:
        if self.grid is None:
            return f"{self.positions} positions of {self.channels}"
        more = f" and {self.tokens} token" if self.tokens else ""
        return f"{self.grid[0]} x {self.grid[1]} positions{more} of {self.channels}"


def layout(shape: tuple[int, ...]) -> Layout:
    """How values of this shape lie, as far as the shape tells.

    Three dimensions are channels and a grid, or a grid and channels where only the first two are alike; two
    are tokens and channels, the tokens being a square grid, or one more.

    Parameters
    ----------
    shape : tuple of int
        Of the value of one image.
    """
    if len(shape) == 3:
        last = shape[0] == shape[1] != shape[2]
        return Layout(shape, shape[2 if last else 0], (shape[0], shape[1]) if last else shape[1:], 0, last)
    if len(shape) == 2:
        for tokens in (0, 1):
            side = math.isqrt(shape[0] - tokens)
            if side and side * side == shape[0] - tokens:
                return Layout(shape, shape[1], (side, side), tokens, True)
        return Layout(shape, shape[1], None, shape[0], True)
    if len(shape) == 1:
        return Layout(shape, shape[0], None, 0, True)
    raise ModelkinError(f"a stitch takes values of one to three dimensions for each image, not {shape}.")


def obstacle(front: Layout, end: Layout) -> str | None:
    """Why values of one layout cannot be brought to the places of another; None if they can."""
    if front.positions == end.positions == 1 or front.shape[:-1] == end.shape[:-1] and front.last == end.last:
        return None
    if front.grid is None or end.grid is None:
        return f"the front gives {front} and the end takes {end}: no grid of one fits the other"
    return None


def moved(values: torch.Tensor, front: Layout, end: Layout) -> torch.Tensor:
    """Bring values to the end's positions, the channels being the front's still.

    Grids are scaled bilinearly. A token beside the grid goes to that of the end; where the front has none it
    is the mean of the grid, and one that the end has no place for is left out.

    Parameters
    ----------
    values : Tensor of shape (n, *front.shape)
    front, end : Layout

    Returns
    -------
    Tensor of shape (n, end.positions, front.channels)
    """
    return moved_rows(front.rows(values), front, end)


def moved_rows(rows: torch.Tensor, front: Layout, end: Layout) -> torch.Tensor:
    """Bring rows (n, front.positions, any channels) to the end's positions, as :func:`moved` does."""
    if front.grid == end.grid and front.tokens == end.tokens:
        return rows
    places, beside = rows[:, front.tokens :], rows[:, : front.tokens]
    if front.grid != end.grid and front.grid is not None and end.grid is not None:
        square = places.transpose(1, 2).unflatten(2, front.grid)
        places = interpolate(square, size=end.grid, mode="bilinear", align_corners=False).flatten(2)
        places = places.transpose(1, 2)
    if not end.tokens:
        return places
    return torch.cat([beside if front.tokens else places.mean(1, keepdim=True), places], 1)


def scaling(old: int, new: int) -> torch.Tensor:
    """The matrix (new, old), float64, of bilinear scaling along one side of a grid."""
    unit = torch.eye(old, dtype=torch.float64)[None]
    return interpolate(unit, size=new, mode="linear", align_corners=False)[0].T
