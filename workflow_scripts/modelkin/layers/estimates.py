"""From what batches gave to CKA, its standard error and its chance level. numpy alone.

HSIC is averaged over batches, each weighted by its images, before the ratio is taken. The standard error is
a jackknife: over the batches of a pass, which share no images (for several passes, the mean of their
variances), or over images where all are one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

CONFIDENCE = 0.95
NOT_FINITE, IS_CONSTANT = "NaN or infinite values", "constant on these images"


class Group(NamedTuple):
    """Values from which one pass (or all images) is left out in turn.

    Attributes
    ----------
    whole : ndarray of shape (layers_a, layers_b)
        Of all its batches.
    left_out : ndarray of shape (batches, layers_a, layers_b)
        Without each of them.
    shares : ndarray of shape (batches,)
        Of the images that each has.
    """

    whole: np.ndarray
    left_out: np.ndarray
    shares: np.ndarray


class Estimate(NamedTuple):
    """A value (...), its jackknife standard error, and the factor from that to half of a 95 % interval."""

    value: np.ndarray
    stderr: np.ndarray
    factor: float


def estimate(parts: xr.Dataset, *, exact: bool) -> xr.Dataset:
    """CKA of every map, from the parts of :meth:`modelkin.layers.maps.Comparison.batch`.

    Parameters
    ----------
    parts : Dataset
        Of all batches, along ``sample``.
    exact : bool
        Whether samples are images.

    Returns
    -------
    Dataset
        See :func:`modelkin.layers.maps.layer_map`; also ``accuracy_a`` and ``accuracy_b`` (map,).
    """
    values, errors, chances = [], [], []
    reasons: dict[str, list[list[str]]] = {"a": [], "b": []}
    for number in range(parts.sizes["map"]):
        one = parts.isel(map=number)
        found = jackknife(one, exact=exact)
        values.append(found.value)
        errors.append(found.stderr)
        chances.append(_cka(*(_mean(one, name) for name in ("chance", "own_a", "own_b"))))
        for side in "ab":
            reasons[side].append([_reason(own) for own in _mean(one, f"own_{side}")])
    dims = ("map", "layer_a", "layer_b")
    seen = parts["images"].sum()
    return xr.Dataset(
        {
            "value": (dims, np.stack(values)),
            "stderr": (dims, np.stack(errors)),
            "chance": (dims, np.stack(chances)),
            **{
                f"undefined_{side}": (("map", f"layer_{side}"), np.array(reasons[side], dtype=object))
                for side in "ab"
            },
            **{f"accuracy_{side}": parts[f"right_{side}"].sum("sample") / seen for side in "ab"},
        },
        coords={name: values for name, values in parts.coords.items() if name != "sample"},
        attrs={
            "n": int(seen / parts["shuffle"].max()),
            "estimator": "exact" if exact else "minibatch",
            "stderr": f"jackknife over {'images' if exact else 'the batches of a pass'}",
        },
    )


def jackknife(
    parts: xr.Dataset, function: Callable[[np.ndarray], np.ndarray] = lambda x: x, *, exact: bool
) -> Estimate:
    """A function of one map, with its jackknife standard error.

    Parameters
    ----------
    parts : Dataset
        Of one map.
    function : callable
        Of maps (..., layers_a, layers_b); by default the maps themselves.
    exact : bool

    Returns
    -------
    Estimate
        The error is NaN where there are fewer than two batches; batches of unequal size are weighted after
        Busing et al. (1999), and the interval is Student's.
    """
    owns = [_mean(parts, name) for name in ("own_a", "own_b")]
    value = function(_cka(_mean(parts, "hsic"), *owns))
    variances, freedom = [], []
    for group in groups(parts, exact=exact):
        if len(group.shares) < 2:
            continue
        left = function(group.left_out)
        variances.append(_variance(function(group.whole), left, group.shares))
        freedom.append(len(group.shares) - 1)
    if not variances:
        return Estimate(value, np.full_like(value, np.nan), np.nan)
    factor = float(stats.t.ppf((1 + CONFIDENCE) / 2, min(freedom)))
    return Estimate(value, np.sqrt(np.mean(variances, axis=0)), factor)


def groups(parts: xr.Dataset, *, exact: bool) -> Iterator[Group]:
    """The samples of which each is left out in turn, all others of its group staying: those of a pass."""
    if exact:
        yield _left_out_images(parts)
        return
    for _, each in parts.groupby("shuffle"):
        weights = each["images"].to_numpy() / float(each["images"].sum())
        sums = {
            name: each[name].to_numpy() * _along(weights, each[name].ndim)
            for name in ("hsic", "own_a", "own_b")
        }
        whole = {name: values.sum(0) for name, values in sums.items()}
        left = {name: whole[name] - values for name, values in sums.items()}
        yield Group(_cka(*whole.values()), _cka(*left.values()), weights)


def _left_out_images(parts: xr.Dataset) -> Group:
    """Without image i, n (n - 3) HSIC_1 = T becomes T - 2 (n - 2) / (n - 3) d_i, d_i being i's row of T.

    For U-centred matrices, whose rows sum to 0; the changed n (n - 3) is the same above and below the ratio.
    """
    n = parts.sizes["sample"]
    whole, left = [], []
    for name in ("hsic", "own_a", "own_b"):
        rows = parts[name].to_numpy().astype(np.float64)
        whole.append(rows.sum(0))
        left.append(whole[-1] - 2 * (n - 2) / (n - 3) * rows)
    return Group(_cka(*whole), _cka(*left), np.full(n, 1 / n))


def _variance(whole: np.ndarray, left_out: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The delete-a-group jackknife for groups of unequal size (Busing, Meijer and van der Leeden 1999)."""
    count = len(shares)
    held = _along(1 / shares, left_out.ndim)
    pseudo = held * whole - (held - 1) * left_out
    centre = count * whole - ((1 - 1 / held) * left_out).sum(0)
    return ((pseudo - centre) ** 2 / (held - 1)).mean(0)


def _mean(parts: xr.Dataset, name: str) -> np.ndarray:
    values, weights = parts[name].to_numpy().astype(np.float64), parts["images"].to_numpy()
    return (values * _along(weights, values.ndim)).sum(0) / weights.sum()


def _cka(hsic: np.ndarray, own_a: np.ndarray, own_b: np.ndarray) -> np.ndarray:
    """NaN where a layer's HSIC with itself is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = [np.sqrt(np.where(own > 0, own, np.nan)) for own in (own_a, own_b)]
        return hsic / roots[0][..., :, None] / roots[1][..., None, :]


def _along(values: np.ndarray, ndim: int) -> np.ndarray:
    return values.reshape(-1, *[1] * (ndim - 1))


def _reason(own: float) -> str:
    return NOT_FINITE if np.isnan(own) else "" if own > 0 else IS_CONSTANT
