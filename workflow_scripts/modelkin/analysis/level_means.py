"""Mean similarity within robustness levels and how far two means differ, with intervals over models.

From tables to tables. A level is a threat and a radius; standard models are one level whatever their norm.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from modelkin import probe_kinds

FEWEST = 5  # models of a level from which resampling them says something
MEANS = ("measure", "kind", "level", "mean", "low", "high", "basis", "models", "pairs", "chance")
DIFFERENCES = ("measure", "what", "kind", "level", "against", "difference", "low", "high", "models", "pairs")
RESAMPLED, RANGE = "models resampled", "range of pairs"


def levels(models: pd.DataFrame) -> pd.Series:
    """Name each model's robustness level.

    Parameters
    ----------
    models : DataFrame
        Columns name, eps and norm.

    Returns
    -------
    Series of str
        By the models' names: "standard", or threat and radius as in "l2 0.5".
    """
    known = models.set_index("name")
    named = known["norm"].astype(str) + " " + known["eps"].map("{:g}".format)
    return named.where(known["eps"] > 0, "standard")


def usable_pairs(similarity: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Select what may stand in a mean.

    Pairs of different models with a value. Left out are copies of an earlier model, models whose accuracy is
    at chance, and inverted images of a source whose inversion failed.

    Parameters
    ----------
    similarity : DataFrame
        The table of that name.
    models : DataFrame
        The table of that name.

    Returns
    -------
    DataFrame
        Rows of ``similarity``.
    """
    out = models["same_weights_as"].notna() | models["at_chance"].eq(True)
    kept, failed = set(models.loc[~out, "name"]), set(models.loc[models["inversion_failed"].eq(True), "name"])
    rows = similarity[(similarity["model_a"] != similarity["model_b"]) & similarity["value"].notna()]
    rows = rows[rows["model_a"].isin(kept) & rows["model_b"].isin(kept)]
    inverted = rows["kind"].map(probe_kinds.origin_of).eq("inverted")
    return rows[~(inverted & rows["model_a"].isin(failed))]


def level_means(
    similarity: pd.DataFrame, models: pd.DataFrame, *, resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Measure how alike the models of each level are, and how sure that is.

    Parameters
    ----------
    similarity, models : DataFrame
        The tables of these names.
    resamples : int
        Of the models of a level, with replacement.
    seed : int

    Returns
    -------
    DataFrame
        A row for each measure, kind and level with two models: mean over pairs (of both directions where
        there are two), low and high, basis, models, pairs, chance. From :data:`FEWEST` models on, low and
        high are the 95 % percentile interval of models that are resampled; below, they are the smallest and
        the largest value of a pair.
    """
    named, rows = levels(models), []
    for measure, kind, values, chance in _squares(similarity, models):
        for level in dict.fromkeys(named):
            part = _within(values, named, level)
            if not len(part):
                continue
            count = len(set(part.index.get_level_values(0)) | set(part.index.get_level_values(1)))
            low, high, basis = float(part.min()), float(part.max()), RANGE
            if count >= FEWEST:
                low, high = percentile_interval(_resampled(part, resamples, seed))
                basis = RESAMPLED
            about = (measure, kind, level, float(part.mean()), low, high, basis, count, len(part), chance)
            rows.append(dict(zip(MEANS, about, strict=True)))
    return pd.DataFrame(rows, columns=list(MEANS))


def level_differences(
    similarity: pd.DataFrame, models: pd.DataFrame, *, resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Measure by how much inverted images change a level's mean similarity, and robustness a kind's.

    Parameters
    ----------
    similarity, models, resamples, seed
        As in :func:`level_means`.

    Returns
    -------
    DataFrame
        A row for each measure and difference, where each level has :data:`FEWEST` models: what ("kind" or
        "level"), kind, level, against, difference, its 95 % interval low and high with models resampled,
        models (of the smaller level) and pairs. "kind": the mean on images of ``kind`` minus that on images
        of the kind ``against``, on the pairs that have both. "level": the mean of ``level`` minus that of the
        level ``against`` on images of ``kind``.
    """
    named = levels(models)
    squares = {(measure, kind): values for measure, kind, values, _ in _squares(similarity, models)}
    rows = []
    for (measure, kind), values in squares.items():
        natural = squares.get((measure, kind.replace("inverted", "natural", 1)))
        if probe_kinds.origin_of(kind) == "inverted" and natural is not None:
            for level in dict.fromkeys(named):
                change = (_within(values, named, level) - _within(natural, named, level)).dropna()
                found = _resampled(change, resamples, seed) if _models(change) >= FEWEST else None
                if found is not None:
                    other = kind.replace("inverted", "natural", 1)
                    rows.append(
                        (measure, "kind", kind, level, other, change.mean(), *percentile_interval(found))
                        + (_models(change), len(change))
                    )
        standard = _within(values, named, "standard")
        for level in dict.fromkeys(named):
            robust = _within(values, named, level)
            if level == "standard" or min(_models(standard), _models(robust)) < FEWEST:
                continue
            found = _resampled(robust, resamples, seed) - _resampled(standard, resamples, seed + 1)
            difference = robust.mean() - standard.mean()
            rows.append(
                (measure, "level", kind, level, "standard", difference, *percentile_interval(found))
                + (min(_models(standard), _models(robust)), min(len(standard), len(robust)))
            )
    return pd.DataFrame(rows, columns=list(DIFFERENCES))


def _squares(similarity: pd.DataFrame, models: pd.DataFrame) -> Iterator[tuple[str, str, pd.Series, float]]:
    """(measure, kind, values by unordered pair, mean chance) of what may stand in a mean."""
    for (measure, kind), rows in usable_pairs(similarity, models).groupby(["measure", "kind"], sort=False):
        pair = pd.DataFrame(np.sort(rows[["model_a", "model_b"]].to_numpy(str), axis=1), columns=["a", "b"])
        values = pair.assign(value=rows["value"].to_numpy(float)).groupby(["a", "b"])["value"].mean()
        yield measure, kind, values, float(rows["chance"].mean())


def _within(values: pd.Series, named: pd.Series, level: str) -> pd.Series:
    first, second = (values.index.get_level_values(i).map(named) for i in (0, 1))
    return values[(first == level) & (second == level)]


def _models(values: pd.Series) -> int:
    return len(set(values.index.get_level_values(0)) | set(values.index.get_level_values(1)))


def _resampled(values: pd.Series, resamples: int, seed: int) -> np.ndarray:
    """Means (r,) over pairs of models that are drawn with replacement; NaN where no two differ."""
    names = np.array([values.index.get_level_values(i) for i in (0, 1)], dtype=str).T
    models, places = np.unique(names, return_inverse=True)
    a, b = places.reshape(-1, 2).T
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(models), np.full(len(models), 1 / len(models)), resamples)
    weights = (counts[:, a] * counts[:, b]).astype(float)
    total = weights.sum(1)
    return np.divide(weights @ values.to_numpy(), total, out=np.full(resamples, np.nan), where=total > 0)


def percentile_interval(found: np.ndarray) -> tuple[float, float]:
    """Take the 95 % interval of a bootstrap.

    Parameters
    ----------
    found : ndarray of shape (r,)
        One value for each resample; NaN where it has none.

    Returns
    -------
    low, high : float
    """
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(low), float(high)
