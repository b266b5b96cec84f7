"""How sure a mean over random sets of models is, by leaving out one model at a time.

Draws that share models are not independent, so that their number says nothing of how sure their mean is: a
thousand draws of ten models are ten models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelkin import lazy
from modelkin.analysis.level_means import FEWEST

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazy.module("scipy.stats")


def interval(values: Sequence[float], sets: Sequence[str]) -> tuple[float, float]:
    """Take the 95 % interval over models of a mean over draws.

    The delete-one jackknife (Efron and Stein 1981): the mean is taken again of the draws without each model,
    and its interval is that of Student's t with as many degrees of freedom as models less one. Noise of the
    draws themselves widens it. Models are left out of the sets, not of the clusters that these are drawn
    from.

    Parameters
    ----------
    values : sequence of float, of length d
        Of each draw; draws with NaN count as none.
    sets : sequence of str, of length d
        The models of each draw, joined by commas.

    Returns
    -------
    low, high : float
        NaN for fewer than :data:`modelkin.analysis.level_means.FEWEST` models, or if one of them is in every
        draw.
    """
    found = np.asarray(values, dtype=float)
    known = np.isfinite(found)
    members = [set(models.split(",")) for models, kept in zip(sets, known, strict=True) if kept]
    found = found[known]
    models = sorted(set().union(*members))
    without = np.array([[name not in each for each in members] for name in models])
    if len(models) < FEWEST or not without.any(axis=1).all():
        return math.nan, math.nan
    means = (without @ found) / without.sum(axis=1)
    spread = math.sqrt((len(models) - 1) * means.var())
    half = float(stats.t.ppf(0.975, len(models) - 1)) * spread
    return float(found.mean() - half), float(found.mean() + half)
