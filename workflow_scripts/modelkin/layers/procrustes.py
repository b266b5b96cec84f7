"""Orthogonal Procrustes similarity of layers' outputs, as the measure of that name takes it.

It knows tensors, and nothing of networks, images or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from modelkin.comparison.measures import procrustes
from modelkin.layers.grams import CONSTANT, rows_of


class Points(NamedTuple):
    """A layer's outputs less their mean, of norm 1, turned into as few dimensions as they span.

    Attributes
    ----------
    rows : Tensor of float64, shape (n, k)
        Zeros where there is nothing to compare.
    defined : float
        1; 0 if the outputs are constant, NaN if any of them is not finite.
    """

    rows: torch.Tensor
    defined: float


def points(output: torch.Tensor) -> Points:
    """Prepare a layer's outputs for n samples, (n, ...), with products in float64."""
    rows = rows_of(output).double()
    mean = rows.mean(0)
    level, varies = (float(torch.linalg.vector_norm(part)) ** 2 for part in (mean, rows - mean))
    nothing = rows.new_zeros(len(rows), 1)
    if not np.isfinite(varies):
        return Points(nothing, float("nan"))
    if varies <= CONSTANT * len(rows) * level or varies == 0:
        return Points(nothing, 0.0)
    return Points(procrustes.prepare(rows)["x"], 1.0)


def similarities(a: Sequence[Points], b: Sequence[Points], order: torch.Tensor | None = None) -> np.ndarray:
    """Compare each layer of one view with each of another: (2 - d) / 2, d the distance after a rotation.

    Parameters
    ----------
    a, b : sequence of Points
    order : Tensor of int, shape (n,), optional
        In which b's samples are taken: what chance gives.

    Returns
    -------
    ndarray of shape (len(a), len(b))
        0 where there is nothing to compare, NaN where outputs are not finite.
    """
    found = np.zeros((len(a), len(b)))
    mirrored = a is b and order is None
    for row, one in enumerate(a):
        for column, two in enumerate(b):
            known = one.defined * two.defined
            if mirrored and column < row:
                found[row, column] = found[column, row]
            elif known == 1:
                found[row, column] = _similarity(one.rows, two.rows if order is None else two.rows[order])
            else:
                found[row, column] = known
    return found


def _similarity(x: torch.Tensor, y: torch.Tensor) -> float:
    cross = x.T @ y
    gram = cross.T @ cross if cross.shape[0] >= cross.shape[1] else cross @ cross.T
    nuclear = float(torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum())
    return 1 - np.sqrt(np.clip(2 - 2 * nuclear, 0, 4)) / 2
