"""What architectures are made of, and how far that explains which models are alike (hwang2024, Section 4.1).

It takes components as words in a table, whoever wrote them there, and knows nothing of networks.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from modelkin.analysis import tables
from modelkin.analysis.tables import each_matrix, under_each_other

# What stands in each table, for a study in which no pair of models with components has a value.
COLUMNS = {
    "component_importance": {"component": "str", "importance": "float64", "importance_sd": "float64"}
    | {"importance_null": "float64", "importance_p": "float64"}
    | {"varies": "bool", "measure": "str", "kind": "str"},
    "component_scores": {"measure": "str", "kind": "str", "r2_fitted": "float64", "r2_new_models": "float64"}
    | {"pairs": "int64", "models": "int64"},
    "component_keywords": {"cluster": "int64", "rank": "int64", "keyword": "str", "weight": "float64"}
    | {"measure": "str", "kind": "str"},
}
PERMUTATIONS = 39  # of the models, for the null of importances: each is a fit
FEWEST = 6  # pairs to fit anything to: those of four models


def differences(components: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """Tell in which components the two models of each pair differ (hwang2024's Hamming distance, one by one).

    Parameters
    ----------
    components : DataFrame
        A row for each model: model, and a word in each other column.
    pairs : DataFrame
        model_a and model_b.

    Returns
    -------
    ndarray of 0 and 1, shape (pairs, components)
    """
    table = components.set_index("model")
    a, b = (table.loc[pairs[side]].to_numpy() for side in ("model_a", "model_b"))
    return (a != b).astype(float)


def importance(
    components: pd.DataFrame, pairs: pd.DataFrame, *, repeats: int = 10, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Fit similarity by differences in components, and find which matter (hwang2024, Section 4.1, Fig. 3).

    Gradient boosting (Friedman 2001) goes from :func:`differences` to similarities. The importance of a
    component is by how much
    R2 falls when its column is permuted (Breiman 2001); components that always go together share theirs.
    Importances say little where r2_new_models is not above 0.

    Parameters
    ----------
    components : DataFrame
        A row for each model: model, and a word in each other column.
    pairs : DataFrame
        model_a, model_b and value, of two different models each.
    repeats : int
        Permutations of each column.
    seed : int

    Returns
    -------
    table : DataFrame
        Columns component, importance, importance_sd (over permutations), importance_null (the mean of what
        fits to permuted models give), importance_p (the share of these that are as important, the one itself
        among them), varies (whether any two models differ in it). No null is taken where r2_new_models is not
        above 0.
    scores : dict of float
        r2_fitted, on the pairs that it was fitted to; r2_new_models, on pairs with a model that was left out,
        NaN for
        fewer than five models; pairs; models. All are NaN for fewer than six pairs, and for pairs that are
        all alike.
    """
    from sklearn.ensemble import GradientBoostingRegressor  # slow to import
    from sklearn.inspection import permutation_importance

    names = [name for name in components if name != "model"]
    features, values = differences(components, pairs), pairs["value"].to_numpy(float)
    if len(pairs) < FEWEST or np.ptp(values) <= 1e-12 * np.abs(values).max():
        undefined = dict.fromkeys(
            ("importance", "importance_sd", "importance_null", "importance_p"), math.nan
        )
        scores = dict.fromkeys(("r2_fitted", "r2_new_models"), math.nan)
        table = pd.DataFrame({"component": names, **undefined, "varies": features.any(0)})
        return table, scores | {"pairs": len(pairs), "models": len(components)}
    regressor = GradientBoostingRegressor(random_state=seed % 2**32).fit(features, values)
    found = permutation_importance(
        regressor, features, values, scoring="r2", n_repeats=repeats, random_state=seed % 2**32
    )
    scores = {
        "r2_fitted": float(regressor.score(features, values)),
        "r2_new_models": _of_new_models(features, pairs, seed),
        "pairs": len(pairs),
        "models": len(components),
    }
    null, p = _null(components, pairs, seed, able=scores["r2_new_models"] > 0)
    table = pd.DataFrame(
        {
            "component": names,
            "importance": found.importances_mean,
            "importance_sd": found.importances_std,
            "importance_null": null,
            "importance_p": p,
            "varies": features.any(0),
        }
    )
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True), scores


def _null(
    components: pd.DataFrame, pairs: pd.DataFrame, seed: int, *, able: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean importances (c,) of permuted models, and the shares of them (c,) that are as high as those of the
    models; NaN if not ``able``.
    """
    table = components.set_index("model")
    if not able:
        unknown = np.full(table.shape[1], math.nan)
        return unknown, unknown
    codes = np.stack([pd.factorize(table[name])[0] for name in table], axis=1)
    a, b = (table.index.get_indexer(pairs[side]) for side in ("model_a", "model_b"))
    values = pairs["value"].to_numpy(float)
    rng = np.random.default_rng([seed % 2**32, PERMUTATIONS])
    orders = [np.arange(len(codes)), *(rng.permutation(len(codes)) for _ in range(PERMUTATIONS))]
    found = np.stack(
        [
            expected_importance((codes[order[a]] != codes[order[b]]).astype(float), values, seed)
            for order in orders
        ]
    )
    return found[1:].mean(0), (found >= found[0] - 1e-12).mean(0)


def expected_importance(features: np.ndarray, values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Take importances as :func:`importance` does, but their expectation over all permutations of a column.

    Parameters
    ----------
    features : ndarray of 0 and 1, shape (n, c)
    values : ndarray of shape (n,)
    seed : int

    Returns
    -------
    ndarray of shape (c,)
        By how much R2 falls.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    # Rows that are the same weigh as many: the trees are those of all rows, of which there are far more.
    rows, place, counts = np.unique(features, axis=0, return_inverse=True, return_counts=True)
    means = np.bincount(place.ravel(), values) / counts
    regressor = GradientBoostingRegressor(random_state=seed % 2**32).fit(rows, means, sample_weight=counts)
    error = (means - regressor.predict(rows)) ** 2
    fallen = []
    for column in range(features.shape[1]):
        share = features[:, column].mean()
        without, having = rows.copy(), rows.copy()
        without[:, column], having[:, column] = 0, 1
        moved = (1 - share) * (means - regressor.predict(without)) ** 2
        moved += share * (means - regressor.predict(having)) ** 2
        fallen.append(counts @ (moved - error) / len(values))
    return np.array(fallen) / values.var()


def _of_new_models(features: np.ndarray, pairs: pd.DataFrame, seed: int, folds: int = 5) -> float:
    """R2 of pairs with a model that was left out, against the mean of the pairs that were not."""
    from sklearn.ensemble import GradientBoostingRegressor

    values = pairs["value"].to_numpy(float)
    names = np.array(sorted({*pairs["model_a"], *pairs["model_b"]}))
    if len(names) < 5:
        return math.nan
    left = right = 0.0
    shuffled = np.random.default_rng(seed).permutation(names)
    for out in np.array_split(shuffled, min(folds, len(names))):
        new = (pairs["model_a"].isin(out) | pairs["model_b"].isin(out)).to_numpy()
        fitted = GradientBoostingRegressor(random_state=seed % 2**32).fit(features[~new], values[~new])
        left += float(((values[new] - fitted.predict(features[new])) ** 2).sum())
        right += float(((values[new] - values[~new].mean()) ** 2).sum())
    return 1 - left / right if right > 0 else math.nan


def keywords(components: pd.DataFrame, clusters: np.ndarray, top: int = 5) -> pd.DataFrame:
    """Find the components that stand for each cluster, by TF-IDF (hwang2024, Table 1).

    Each architecture is a document whose words are its components. The weight of a word is the mean over a
    cluster's models of
    1 / number of components (TF) times ln(models / models that have it) (IDF), so what all models have is no
    keyword.

    Parameters
    ----------
    components : DataFrame
        A row for each of M models: model, and a word in each other column.
    clusters : ndarray of int, shape (M,)
    top : int
        Keywords of each cluster, at most.

    Returns
    -------
    DataFrame
        Columns cluster, rank, keyword and weight.
    """
    names = [name for name in components if name != "model"]
    words = pd.DataFrame({name: f"{name.replace('_', ' ')}: " + components[name] for name in names})
    counts = words.melt()["value"].value_counts()
    weights = np.log(len(components) / counts) / len(names)
    rows = []
    for cluster in sorted(set(clusters)):
        inside = words[np.asarray(clusters) == cluster]
        share = inside.melt()["value"].value_counts() / len(inside)
        weighted = (share * weights.reindex(share.index)).sort_values(ascending=False, kind="stable")
        # Ties in the order of the words, whatever the order of the models.
        best = sorted(weighted[weighted > 0].items(), key=lambda item: (-round(item[1], 12), item[0]))[:top]
        rows += [
            {"cluster": cluster, "rank": rank, "keyword": word, "weight": weight}
            for rank, (word, weight) in enumerate(best, start=1)
        ]
    return pd.DataFrame(rows, columns=["cluster", "rank", "keyword", "weight"])


def component_tables(
    table: pd.DataFrame, similarity: pd.DataFrame, clusters: pd.DataFrame, models: pd.DataFrame, *, seed: int
) -> dict[str, pd.DataFrame]:
    """Relate components to similarity and to clusters, for every measure on every kind of probe.

    Parameters
    ----------
    table : DataFrame
        The components of the models in order. Models that are not in it, copies of other models, and in a
        measure's those that the measure does not know, are left out.
    similarity : DataFrame
        The similarity table.
    clusters : DataFrame
        The table of that name (see :func:`modelkin.analysis.cluster_tables.cluster_tables`).
    models : DataFrame
        The table of that name, which says of what a model is a copy.
    seed : int

    Returns
    -------
    dict of DataFrame
        component_importance, component_scores and component_keywords.
    """
    import sklearn  # slow

    table = table[table["model"].isin(set(tables.distinct(models)["name"]))]
    similarity = similarity[similarity[["model_a", "model_b"]].isin(set(table["model"])).all(axis=1)]
    values = tables.both_directions(similarity)
    values = values[values["model_a"] < values["model_b"]]
    known = {
        which: table[table["model"].isin({*rows["model_a"], *rows["model_b"]})]
        for which, rows in values.groupby(["measure", "kind"], sort=False)
    }
    values = values.dropna(subset="value")
    made: dict[str, list[pd.DataFrame]] = {name: [] for name in COLUMNS}
    for measure, kind, pairs in each_matrix(values):
        which = {"measure": measure, "kind": kind}
        # Else each of the thousands of small trees checks what all of them are given.
        with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
            found, score = importance(known[measure, kind], pairs, seed=seed)
        made["component_importance"].append(found.assign(**which))
        made["component_scores"].append(pd.DataFrame([{**which, **score}]))
        here = clusters.query("measure == @measure and kind == @kind").set_index("model")
        clustered = table[table["model"].isin(here.index)]
        labels = here.loc[clustered["model"], "cluster"].to_numpy()
        made["component_keywords"].append(keywords(clustered, labels).assign(**which))
    return {name: under_each_other(parts, COLUMNS[name]) for name, parts in made.items()}
