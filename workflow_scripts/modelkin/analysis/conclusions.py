"""Which conclusions of a study hold under every measure, which under some.

From the tables similarity and models to a table. A conclusion is a difference of means that is positive
where it holds, whatever the measure; how sure it is, permuted or resampled models say.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from modelkin import lazy, probe_kinds
from modelkin.analysis import level_means

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = lazy.module("scipy.stats")

COLUMNS = {
    **dict.fromkeys(("conclusion", "kind", "about", "measure"), "str"),
    **dict.fromkeys(("effect", "low", "high", "p"), "float64"),
    **{"models": "int64", "pairs": "int64", "holds": "str", "under": "str"},
    **dict.fromkeys(("holding", "opposite", "decided"), "int64"),
}
ROBUST, LESS_ALIKE, SEEN = (
    "robust models are more alike",
    "inverted images show less",
    "robust features are seen",
)
ARCHITECTURE, CLOSEST = "architectures are more alike", "closest pair"
CONCLUSIONS = (ROBUST, LESS_ALIKE, SEEN, ARCHITECTURE, CLOSEST)
YES, OPPOSITE, UNDECIDED, UNKNOWN = "yes", "opposite", "undecided", "too few models"
EVERY, SOME, NONE, BOTH = "every measure", "some measures", "no measure", "measures contradict each other"
CHANCE = 0.05


class Finding(NamedTuple):
    """What one measure says of a conclusion: its row but for the names."""

    effect: float
    low: float
    high: float
    p: float
    models: int
    pairs: int
    holds: str


def conclusions_table(
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    permutations: int = 999,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Hold each conclusion of a study against every measure.

    Left out are copies of a model, models at chance, and images of sources whose inversion failed (see
    :func:`modelkin.analysis.level_means.usable_pairs`).

    Parameters
    ----------
    similarity, models : DataFrame
        The tables of these names.
    directions : mapping of str to {"similarity", "distance"}
        By measure.
    permutations, resamples : int
        Of models.
    seed : int

    Returns
    -------
    DataFrame
        A row for each conclusion, kind of probe, what it is about and measure. effect: in units of the
        measure, turned so that it is positive where the conclusion holds. low, high: its 95 % interval with
        models resampled, NaN below :data:`~modelkin.analysis.level_means.FEWEST` models (of a closest pair:
        over images, with the choice of the pair in it, see :func:`against_the_best_other`). p: two-sided
        share of permutations of the models with an effect as far from 0, the observed one among them; NaN
        where there is nothing to permute, or all relabellings are too few for one of :data:`CHANCE`. holds:
        "yes" or "opposite" where p is at most :data:`CHANCE` (without a p: where the interval excludes 0),
        else "undecided", or "too few models" if neither is known. under: what all measures say together that
        have enough models; holding, opposite: how many say so, decided: of how many.
    """
    rows = []
    usable = level_means.usable_pairs(similarity, models)
    named = level_means.levels(models)
    structure = models.set_index("name")["structure"] if "structure" in models else pd.Series(dtype=str)
    grids = {
        (measure, kind): Grid.of(part, models, directions[measure])
        for (measure, kind), part in usable.groupby(["measure", "kind"], sort=False)
    }
    for (measure, kind), grid in grids.items():
        chance = _Chance(permutations, resamples, seed)
        found = [
            *((ROBUST, *each) for each in _robust(grid, named, chance)),
            *((SEEN, *each) for each in _seen(grid, named, chance)),
            *((ARCHITECTURE, *each) for each in _architectures(grid, named, structure, chance)),
        ]
        natural = grids.get((measure, kind.replace("inverted", "natural", 1)))
        if probe_kinds.origin_of(kind) == "inverted" and natural is not None:
            found += [(LESS_ALIKE, *each) for each in _less_alike(grid, natural, named, chance)]
        rows += [
            {"conclusion": conclusion, "kind": kind, "about": about, "measure": measure, **finding._asdict()}
            for conclusion, about, finding in found
        ]
    rows += list(_closest(grids))
    return _together(pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in _TOGETHER]))


_TOGETHER = ("under", "holding", "opposite", "decided")


def _together(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what all measures say of their conclusion, in the order of :data:`CONCLUSIONS`."""
    by = ["conclusion", "kind", "about"]
    known = rows["holds"].ne(UNKNOWN)
    counts = (
        rows.assign(holding=rows["holds"].eq(YES), opposite=rows["holds"].eq(OPPOSITE), decided=known)
        .groupby(by)[["holding", "opposite", "decided"]]
        .transform("sum")
        .astype("int64")
    )
    told = pd.Series(NONE, index=rows.index, dtype="str")
    told[counts["holding"] > 0] = SOME
    told[(counts["holding"] > 0) & (counts["holding"] == counts["decided"])] = EVERY
    told[(counts["holding"] > 0) & (counts["opposite"] > 0)] = BOTH
    told[counts["decided"] == 0] = UNKNOWN
    whole = rows.assign(under=told, **counts)[list(COLUMNS)].astype(COLUMNS)
    place = whole["conclusion"].map(CONCLUSIONS.index)
    return (
        whole.assign(place=place)
        .sort_values("place", kind="stable")
        .drop(columns="place")
        .reset_index(drop=True)
    )


class Grid(NamedTuple):
    """One measure on one kind of probe: turned values (M, M) with NaN where there is none, and their errors.

    directed: of the images of the row's model, seen by the column's; both: means of the directions there are.
    """

    names: list[str]
    directed: np.ndarray
    both: np.ndarray
    stderr: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, models: pd.DataFrame, direction: str) -> Grid:
        here = {*rows["model_a"], *rows["model_b"]}
        names = [name for name in models["name"] if name in here]
        sign = 1 if direction == "similarity" else -1
        values, errors = (
            rows.pivot_table(index="model_a", columns="model_b", values=column, dropna=False)
            .reindex(index=names, columns=names)
            .to_numpy(float, copy=True)
            for column in ("value", "stderr")
        )
        return cls(names, sign * values, _mean(sign * values, sign * values.T), _mean(errors, errors.T))


def _mean(*grids: np.ndarray) -> np.ndarray:
    known = np.isfinite(grids)
    count = known.sum(0)
    return np.divide(
        np.where(known, grids, 0).sum(0), count, out=np.full(count.shape, math.nan), where=count > 0
    )


class Contrast(NamedTuple):
    """Two lists of pairs, places (k,) and (k,) each, whose means are compared; or one, compared with 0."""

    these: tuple[np.ndarray, np.ndarray]
    those: tuple[np.ndarray, np.ndarray] | None = None


class _Chance(NamedTuple):
    """How often and from where models are permuted and resampled."""

    permutations: int
    resamples: int
    seed: int

    def finding(
        self,
        values: np.ndarray,
        contrasts: list[Contrast],
        *,
        permuted: np.ndarray | None,
        resampled: np.ndarray,
    ) -> Finding | None:
        """The mean of contrasts, each weighing as many as its pairs, and how sure it is; None without values.

        values (m, m): of pairs. Models are permuted within the groups ``permuted`` (m,), and not if it is
        None; they are resampled within the groups ``resampled`` (m,).
        """
        models = len(values)
        contrasts = [
            each for each in contrasts if all(np.isfinite(values[side]).any() for side in each if side)
        ]
        if not contrasts:
            return None
        weights = np.array([np.isfinite(values[each.these]).sum() for each in contrasts], dtype=float)
        rng = np.random.default_rng(self.seed)
        orders = np.tile(np.arange(models), (1 if permuted is None else self.permutations + 1, 1))
        for inside in _groups(permuted):
            orders[1:, inside] = rng.permuted(orders[1:, inside], axis=1)
        found = _weighed(
            [
                _contrast(each, lambda a, b: _mean_of_known(values[orders[:, a], orders[:, b]]))
                for each in contrasts
            ],
            weights,
        )
        low = high = math.nan
        if min(map(len, _groups(resampled))) >= level_means.FEWEST:
            counts = np.zeros((self.resamples, models))
            for inside in _groups(resampled):
                counts[:, inside] = rng.multinomial(
                    len(inside), np.full(len(inside), 1 / len(inside)), self.resamples
                )
            low, high = level_means.percentile_interval(
                _weighed(
                    [
                        _contrast(
                            each, lambda a, b: _mean_of_known(values[a, b], counts[:, a] * counts[:, b])
                        )
                        for each in contrasts
                    ],
                    weights,
                )
            )
        effect, p = float(found[0]), math.nan if permuted is None else _p(found)
        pairs = sum(int(np.isfinite(values[side]).sum()) for each in contrasts for side in each if side)
        return Finding(effect, low, high, p, models, pairs, verdict(effect, low, high, p))


def _p(found: np.ndarray) -> float:
    """The share of effects (r,) as far from 0 as the first; NaN if even the furthest would be no evidence."""
    # Relabellings that differ but by rounding are one.
    far = np.abs(found[np.isfinite(found)]).round(12)
    return float((far >= far[0]).mean()) if (far >= far.max()).mean() <= CHANCE else math.nan


def _groups(labels: np.ndarray | None) -> list[np.ndarray]:
    return [] if labels is None else [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _contrast(pairs: Contrast, mean: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    return mean(*pairs.these) - (mean(*pairs.those) if pairs.those else 0)


def _weighed(contrasts: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The weighted mean (r,) of contrasts (r,) each, of those that are known."""
    return _mean_of_known(np.stack(contrasts, axis=1), weights)


def _mean_of_known(values: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """The means (r,) of values (r, k) or (k,), weighted by (k,) or (r, k), of those that are known."""
    known = np.isfinite(values)
    counted = known * weights
    total = np.atleast_2d(counted).sum(1)
    top = np.atleast_2d(np.where(known, values, 0) * weights).sum(1)
    return np.divide(top, total, out=np.full(total.shape, math.nan), where=total > 0)


def verdict(effect: float, low: float, high: float, p: float) -> str:
    """Whether a conclusion holds: by p where there is one, else by the interval."""
    if math.isfinite(p):
        sure = p <= CHANCE
    elif math.isfinite(low):
        sure = not low <= 0 <= high
    else:
        return UNKNOWN
    if not sure or effect == 0:
        return UNDECIDED
    return YES if effect > 0 else OPPOSITE


def _against_standard(grid: Grid, named: pd.Series) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(robust level, places of its models and of the standard ones, which of these are robust)."""
    here = np.array([named[name] for name in grid.names])
    for level in dict.fromkeys(here):
        if level != "standard" and "standard" in here:
            places = np.flatnonzero((here == level) | (here == "standard"))
            yield level, places, here[places] == level


def _robust(grid: Grid, named: pd.Series, chance: _Chance) -> Iterator[tuple[str, Finding]]:
    """The mean over pairs of a robust level less that over pairs of standard models."""
    for level, places, robust in _against_standard(grid, named):
        contrast = Contrast(*(_every_two(np.flatnonzero(side)) for side in (robust, ~robust)))
        found = chance.finding(
            grid.both[np.ix_(places, places)], [contrast], permuted=np.zeros(len(places)), resampled=robust
        )
        if found is not None:
            yield f"{level} against standard", found


def _seen(grid: Grid, named: pd.Series, chance: _Chance) -> Iterator[tuple[str, Finding]]:
    """Images of robust models seen by standard ones, less images of standard models seen by robust ones."""
    for level, places, robust in _against_standard(grid, named):
        directed = grid.directed[np.ix_(places, places)]
        sources, observers = np.meshgrid(np.flatnonzero(robust), np.flatnonzero(~robust))
        difference = directed - directed.T
        found = chance.finding(
            difference,
            [Contrast((sources.ravel(), observers.ravel()))],
            permuted=np.zeros(len(places)),
            resampled=robust,
        )
        if found is not None:
            yield f"{level} against standard", found


def _less_alike(
    grid: Grid, natural: Grid, named: pd.Series, chance: _Chance
) -> Iterator[tuple[str, Finding]]:
    """The mean on natural images less that on inverted ones, over the pairs of a level that have both."""
    shared = [name for name in grid.names if name in natural.names]
    of_shared = (
        each.both[np.ix_(*[[each.names.index(name) for name in shared]] * 2)] for each in (natural, grid)
    )
    difference = np.subtract(*of_shared)
    here = np.array([named[name] for name in shared])
    for level in dict.fromkeys(here):
        places = np.flatnonzero(here == level)
        found = chance.finding(
            difference[np.ix_(places, places)],
            [Contrast(_every_two(np.arange(len(places))))],
            permuted=None,
            resampled=np.zeros(len(places)),
        )
        if found is not None:
            yield level, found


def _architectures(
    grid: Grid, named: pd.Series, structure: pd.Series, chance: _Chance
) -> Iterator[tuple[str, Finding]]:
    """Pairs of one architecture less pairs of two, each among pairs of the same two levels.

    Architectures are permuted within levels, so that levels decide nothing.
    """
    kinds = np.array([structure.get(name, "") for name in grid.names])
    if (kinds == "").any():
        return
    level = np.array([named[name] for name in grid.names])
    a, b = _every_two(np.arange(len(grid.names)))
    of_both = np.array(
        [" and ".join(sorted(pair)) for pair in zip(level[a], level[b], strict=True)], dtype=str
    )
    same = kinds[a] == kinds[b]
    contrasts = [
        Contrast((a[here & same], b[here & same]), (a[here & ~same], b[here & ~same]))
        for here in (of_both == cell for cell in dict.fromkeys(of_both))
    ]
    found = chance.finding(grid.both, contrasts, permuted=level, resampled=np.zeros(len(level)))
    if found is not None:
        yield "same against different", found


def _every_two(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.triu_indices(len(places), 1)
    return places[first], places[second]


def _closest(grids: Mapping[tuple[str, str], Grid]) -> Iterator[dict]:
    """By how much the pair that most measures call the closest is closer than any other one."""
    for kind in dict.fromkeys(kind for _, kind in grids):
        of_kind = {measure: _ranked(grid) for (measure, of), grid in grids.items() if of == kind}
        of_kind = {measure: ranked for measure, ranked in of_kind.items() if len(ranked) > 1}
        firsts = [ranked[0][0] for ranked in of_kind.values()]
        if not firsts:
            continue
        pair = max(firsts, key=firsts.count)  # of those named as often, the first measure's
        for measure, ranked in of_kind.items():
            names = [each for each, _ in ranked]
            if pair not in names:
                continue
            values, errors = np.array([numbers for _, numbers in ranked]).T
            effect, low, high = against_the_best_other(values, errors, names.index(pair))
            finding = Finding(
                *(effect, low, high, math.nan),
                *(len({name for each in names for name in each}), len(ranked)),
                verdict(effect, low, high, math.nan),
            )
            yield {
                "conclusion": CLOSEST,
                "kind": kind,
                "about": " and ".join(pair),
                "measure": measure,
                **finding._asdict(),
            }


def against_the_best_other(values: np.ndarray, errors: np.ndarray, chosen: int) -> tuple[float, float, float]:
    """By how much one value is above the highest other one, with a 95 % interval that allows for the choice.

    The highest of many values is too high by luck, and so is its distance from any other. Therefore the
    interval is that of all differences at once (Tukey and Kramer; conservative for unequal errors, Hayter
    1984), and holds for whichever value is looked at because of what the values are. Errors count as
    independent; those of pairs on the same images mostly go together, which makes the interval too wide.

    Parameters
    ----------
    values, errors : ndarray of shape (k,)
        Of k > 1 pairs of models, and their standard errors.
    chosen : int
        Which value.

    Returns
    -------
    effect, low, high : float
        low and high are NaN if any error is.
    """
    others = np.arange(len(values)) != chosen
    differences = values[chosen] - values[others]
    widths = _factor_of(len(values)) * np.hypot(errors[chosen], errors[others])
    return float(differences.min()), float((differences - widths).min()), float((differences + widths).min())


@functools.cache
def _factor_of(count: int) -> float:
    """Standard errors from a difference to the end of its interval, that of all of so many values."""
    return float(stats.studentized_range.ppf(1 - CHANCE, count, np.inf)) / math.sqrt(2)


def _ranked(grid: Grid) -> list[tuple[tuple[str, str], tuple[float, float]]]:
    """The pairs of a grid with value and standard error, the most alike first."""
    a, b = _every_two(np.arange(len(grid.names)))
    known = np.isfinite(grid.both[a, b])
    found = [
        ((grid.names[i], grid.names[j]), (grid.both[i, j], grid.stderr[i, j]))
        for i, j in zip(a[known], b[known], strict=True)
    ]
    return sorted(found, key=lambda item: -item[1][0])
