"""What a layer map says in a number: how bright it is far from its diagonal, where it breaks into blocks.

Functions of maps (..., layers_a, layers_b) with values (...), so that a jackknife can ask for many at once. A
cell without a value counts for nothing. numpy alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

BRIGHT = 0.8  # CKA above which a cell counts as alike
BIN = 0.05  # of depth, in which the decay of similarity with depth is followed
SMALLEST_BLOCK = 0.25  # share of the layers that a block has at least
Values = Callable[[np.ndarray], np.ndarray]


class Statistic(NamedTuple):
    """A number of a map.

    Attributes
    ----------
    name : str
    values : callable
        Of maps (..., layers_a, layers_b).
    """

    name: str
    values: Values


def of_map(depth_a: np.ndarray, depth_b: np.ndarray, one_model: bool) -> list[Statistic]:
    """All statistics of the maps of two networks.

    Parameters
    ----------
    depth_a, depth_b : ndarray of float
        Of their layers, 0 to 1.
    one_model : bool
        Whether both views are of one model on the same images, so that the diagonal says nothing.

    Returns
    -------
    list of Statistic
        The same layer of another network is the one of the nearest depth, which for networks of one
        architecture is the layer itself.
    """
    a, b = depth_a, depth_b
    apart = np.abs(a[:, None] - b[None, :])
    same = apart.argmin(axis=1)
    off = np.ones(apart.shape, dtype=bool)
    off[np.arange(len(a)), same] = False
    found = [
        Statistic("off_diagonal", _mean_over(off)),
        Statistic("quarter_apart", _mean_over(apart >= 0.25)),
        Statistic("half_apart", _mean_over(apart >= 0.5)),
        Statistic("above_0.8", lambda maps: _mean_over(off)(np.where(np.isnan(maps), maps, maps > BRIGHT))),
        Statistic("decay_length", _decay_length(apart)),
    ]
    if len(a) == len(b):
        found.append(Statistic("block_structure", _block_structure(off)))
    if not one_model:
        thirds = np.minimum((3 * a).astype(int), 2)
        found += [
            Statistic("same_layer", _same(same, np.ones(len(a), dtype=bool))),
            *(
                Statistic(f"same_layer_{name}", _same(same, thirds == number))
                for number, name in enumerate(("first", "middle", "last"))
            ),
            Statistic("last_layer", lambda maps: maps[..., -1, -1]),
            Statistic("best_match_is_same", _best_match(same)),
            Statistic("best_match_apart", _best_match_apart(apart)),
        ]
    return found


def _nanmean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN the mean is NaN
        return np.nanmean(values, axis=axis)


def _mean_over(cells: np.ndarray) -> Values:
    return lambda maps: _nanmean(maps[..., cells])


def _same(same: np.ndarray, chosen: np.ndarray) -> Values:
    rows = np.flatnonzero(chosen)
    return lambda maps: _nanmean(maps[..., rows, same[rows]])


def _best_match(same: np.ndarray) -> Values:
    """Share of a's layers to which no layer of b is more alike than the same one."""

    def values(maps: np.ndarray) -> np.ndarray:
        best = np.nan_to_num(maps, nan=-np.inf).argmax(-1) == same
        return _nanmean(np.where(np.isnan(maps).all(-1), np.nan, best))

    return values


def _best_match_apart(apart: np.ndarray) -> Values:
    """How far off in depth the most alike layer of b is, in the mean over a's layers."""

    def values(maps: np.ndarray) -> np.ndarray:
        best = np.nan_to_num(maps, nan=-np.inf).argmax(-1)
        off = np.take_along_axis(np.broadcast_to(apart, maps.shape), best[..., None], -1)[..., 0]
        return _nanmean(np.where(np.isnan(maps).all(-1), np.nan, off))

    return values


def _decay_length(apart: np.ndarray) -> Values:
    """The integral of mean CKA over the distance in depth, divided by that at no distance.

    The integral scale of a correlation function: 1 if similarity does not fall with depth, about the distance
    at which it has fallen to a third if it falls exponentially.
    """
    bins = np.minimum((apart / BIN).astype(int), round(1 / BIN) - 1)
    filled = np.unique(bins)

    def values(maps: np.ndarray) -> np.ndarray:
        means = np.stack([_nanmean(maps[..., bins == each]) for each in filled], axis=-1)
        return _nanmean(means) / means[..., 0]

    return values


def _block_structure(off: np.ndarray) -> Values:
    """How much brighter a block of the diagonal is than its layers against all others, for the best block.

    A block is a stretch of layers, of a quarter of them at the least and at least two outside. 0 if none
    stands out; its own diagonal does not count.
    """
    count = len(off)
    least = max(2, round(SMALLEST_BLOCK * count))
    stretches = [
        (start, end)
        for start in range(count)
        for end in range(start + least, count + 1)
        if end - start <= count - 2
    ]

    def values(maps: np.ndarray) -> np.ndarray:
        known = off & ~np.isnan(maps)
        sums, counts = (_summed(each) for each in (np.where(known, maps, 0.0), known.astype(float)))
        best = np.zeros(maps.shape[:-2])
        for start, end in stretches:
            inside, number = (_square(each, start, end) for each in (sums, counts))
            crossing, others = (_cross(each, start, end) for each in (sums, counts))
            with np.errstate(invalid="ignore", divide="ignore"):
                contrast = inside / number - (crossing - 2 * inside) / (others - 2 * number)
            best = np.fmax(best, contrast)
        return np.where(known.any((-1, -2)), best, np.nan)

    return values


def _summed(values: np.ndarray) -> np.ndarray:
    """Sums over all cells above and left of each corner, (..., rows + 1, columns + 1)."""
    padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(1, 0), (1, 0)])
    return padded.cumsum(-1).cumsum(-2)


def _square(sums: np.ndarray, start: int, end: int) -> np.ndarray:
    return sums[..., end, end] - sums[..., start, end] - sums[..., end, start] + sums[..., start, start]


def _cross(sums: np.ndarray, start: int, end: int) -> np.ndarray:
    """Of all rows and all columns of a stretch, its square twice."""
    rows = sums[..., end, -1] - sums[..., start, -1]
    columns = sums[..., -1, end] - sums[..., -1, start]
    return rows + columns
