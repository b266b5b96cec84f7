"""Tables of studies whose truth is known, for what is said of them."""

import numpy as np
import pandas as pd

from modelkin.analysis import level_means

MEASURES = pd.DataFrame(
    {
        "measure": ["linear_cka", "symmetrised_kl"],
        "title": ["linear CKA", "symmetrised KL divergence"],
        "direction": ["similarity", "distance"],
    }
)


def models_of(count, robust=0, **more):
    """The table of models: so many, the last of which are robust."""
    eps = [0.0] * (count - robust) + [1.0] * robust
    plain = {"source": "train", "at_chance": False, "inversion_failed": False, "same_weights_as": None}
    found = pd.DataFrame({"name": [f"m{i}" for i in range(count)], "eps": eps, "norm": "l2", **plain})
    return found.assign(inversion_median_loss=0.01, attack_success=1.0, **more)


def similarity_of(models, value, noise=0.0, seed=0):
    """The similarity table of both measures: value(kind, a, b) for linear CKA, 1 less it for the distance."""
    rng, rows, names = np.random.default_rng(seed), [], list(models["name"])
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            for kind in ["natural"] * (j <= i) + ["inverted"]:
                alike = 1.0 if a == b else value(kind, a, b) + noise * rng.normal()
                for measure, found in (("linear_cka", alike), ("symmetrised_kl", 1 - alike)):
                    ends = (found - 0.01, found + 0.01)
                    rows.append((kind, a, b, measure, found, *ends, 0.0, 100))
    columns = ["kind", "model_a", "model_b", "measure", "value", "ci_low", "ci_high", "chance", "n"]
    return pd.DataFrame(rows, columns=columns)


def tables_of(models, similarity, **more):
    return {
        "models": models,
        "measures": MEASURES,
        "similarity": similarity,
        "level_means": level_means.level_means(similarity, models),
        "level_differences": level_means.level_differences(similarity, models),
        **more,
    }
