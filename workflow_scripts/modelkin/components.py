"""What architectures are made of, and how far that explains which models are alike (hwang2024, Section 4.1).

It takes components as words in a table, whoever wrote them there, and knows nothing of networks.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelkin import lazy
from modelkin.errors import ModelkinError, unknown

np = lazy.module("numpy")
pd = lazy.module("pandas")

FEWEST = 6  # pairs to fit anything to: those of four models

# The 13 that hwang2024's Table 1 draws its keywords from, and what they mean in tables.
COMPONENTS = {
    "base_family": "CNN, CNN with attention, Transformer or MLP",
    "hierarchy": "whether there are fewer positions at the end than after the stem",
    "stem": "the convolutions, or the linear map, that come first",
    "stem_pooling": "pooling that follows the stem: max, average or none",
    "input_size": "pixels a side of the images that it takes",
    "normalisation": "kinds of normalisation: batch, layer, group, RMS or none",
    "activation": "activation functions",
    "self_attention": "whether positions attend to each other",
    "channel_attention": "whether channels are weighted by what was read off all positions",
    "channel_attention_place": "where in their blocks: middle or end of blocks, or none",
    "depthwise_convolution": "whether there are depthwise convolutions",
    "grouped_convolution": "whether there are grouped convolutions",
    "final_pooling": "how positions become one representation: average, max, class token, attention, flatten",
}


def read(path: str | Path, models: Sequence[str], active: Sequence[str]) -> list[dict[str, str]]:
    """A user's table of components: a CSV with a column ``model`` and one for each component.

    models: all that may stand there; active: those that must. Returns a row for each active model, in their
    order; cells may be empty. Raises ModelkinError if the file cannot be read, lacks a model, names one
    twice, or names one that is not of the study.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            columns, *rows = csv.reader(file, strict=True)
    except OSError as error:
        raise ModelkinError(f"components: {path} cannot be read: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise ModelkinError(f"components: {path} is not a CSV with a line of names: {error}.") from None
    if "model" not in columns or len(columns) < 2 or len(set(columns)) < len(columns):
        raise ModelkinError(
            f"components: {path} needs a column 'model' and one for each component, all of different names."
        )
    found: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise ModelkinError(
                f"components: line {line} of {path} has {len(row)} cells; its columns are {len(columns)}."
            )
        cells = dict(zip(columns, map(str.strip, row), strict=True))
        if cells["model"] in found:
            raise ModelkinError(f"components: {path} has more than one row for model '{cells['model']}'.")
        if cells["model"] not in models:
            raise unknown(f"model in {path}", cells["model"], models)
        found[cells["model"]] = cells
    for name in active:
        if name not in found:
            raise ModelkinError(
                f"components: {path} has no row for model '{name}'; add one, with empty cells for what is "
                "to be read off its network."
            )
    return [found[name] for name in active]


def combined(found: pd.DataFrame, given: Mapping[str, Any] | None) -> pd.DataFrame:
    """The components that were read off the networks, with what a user's table says in their place.

    found: a row for each model, with a column ``model``. given: ``rows`` of :func:`read` for the same models,
    whose cells count if they are not empty, and whose further columns are further components; with
    ``replace`` the user's columns are all there are.
    """
    if given is None:
        return found
    table = pd.DataFrame(given["rows"])
    if given["replace"]:
        return table
    filled = table.set_index("model").replace("", None)
    whole = filled.combine_first(found.set_index("model"))
    return whole.loc[found["model"], _order(found, table)].fillna("").reset_index()


def _order(found: pd.DataFrame, given: pd.DataFrame) -> list[str]:
    return [name for name in dict.fromkeys([*found, *given]) if name != "model"]


def differences(components: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """(pairs, components) of 0 and 1: where two models differ (hwang2024's Hamming distance, one by one).

    pairs: model_a and model_b.
    """
    table = components.set_index("model")
    a, b = (table.loc[pairs[side]].to_numpy() for side in ("model_a", "model_b"))
    return (a != b).astype(float)


def importance(
    components: pd.DataFrame, pairs: pd.DataFrame, *, repeats: int = 10, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, float]]:
    """How much each component's difference says of similarity (hwang2024, Section 4.1 and Fig. 3).

    pairs: model_a, model_b, value, for two different models each. Gradient boosting (Friedman 2001) from
    :func:`differences` to values; the importance of a component is by how much R2 falls when its column is
    permuted (Breiman 2001): columns component, importance (mean over ``repeats``), importance_sd, varies
    (whether any two models differ in it). Components that go together share their importance.

    The scores: r2_fitted, of the pairs that it was fitted to; r2_new_models, of pairs with a model that the
    regressor never saw (groups of models left out one after the other, predictions pooled), NaN for fewer
    than five models; pairs and models. Importance says little where r2_new_models is not above 0. All are
    NaN for fewer than six pairs, and for pairs that are all alike.
    """
    from sklearn.ensemble import GradientBoostingRegressor  # slow to import
    from sklearn.inspection import permutation_importance

    names = [name for name in components if name != "model"]
    features, values = differences(components, pairs), pairs["value"].to_numpy(float)
    if len(pairs) < FEWEST or np.ptp(values) <= 1e-12 * np.abs(values).max():
        unknown = dict.fromkeys(("importance", "importance_sd"), math.nan)
        scores = dict.fromkeys(("r2_fitted", "r2_new_models"), math.nan)
        table = pd.DataFrame({"component": names, **unknown, "varies": features.any(0)})
        return table, scores | {"pairs": len(pairs), "models": len(components)}
    regressor = GradientBoostingRegressor(random_state=seed % 2**32).fit(features, values)
    found = permutation_importance(
        regressor, features, values, scoring="r2", n_repeats=repeats, random_state=seed % 2**32
    )
    table = pd.DataFrame(
        {
            "component": names,
            "importance": found.importances_mean,
            "importance_sd": found.importances_std,
            "varies": features.any(0),
        }
    )
    scores = {
        "r2_fitted": float(regressor.score(features, values)),
        "r2_new_models": _of_new_models(features, pairs, seed),
        "pairs": len(pairs),
        "models": len(components),
    }
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True), scores


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
    """The components that stand for each cluster (hwang2024, Table 1): cluster, rank, keyword, weight.

    clusters: (M,) of the models in order. Each architecture is a document whose words are its components;
    the weight of a keyword is the mean of TF-IDF over the cluster's models, with TF 1 / number of components
    and IDF ln(models / models that have it). Words that all models have are no keywords.
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
