"""Models of which it is known who errs with whom, and their similarities."""

import itertools

import numpy as np
import pandas as pd

CLASSES = 4


def labels():
    return np.random.default_rng(0).integers(0, CLASSES, 200)


def logits(labels):
    """Six models; a, b and c make the same mistakes, d, e and f their own."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(200, CLASSES))
    own = {
        name: shared + 0.2 * rng.normal(size=shared.shape) if name in "abc" else rng.normal(size=shared.shape)
        for name in "abcdef"
    }
    return {name: (1.5 * np.eye(CLASSES)[labels] + values).astype(np.float32) for name, values in own.items()}


def near():
    """Similarities (6, 6) that say so."""
    matrix = np.random.default_rng(2).uniform(0.1, 0.2, (6, 6))
    matrix[:3, :3] = 0.9
    return matrix


def rows_of(matrix, kind="natural", measure="cka", names="abcdef"):
    """A similarity table; both directions for inverted probes."""
    return pd.DataFrame(
        [
            {"kind": kind, "measure": measure, "model_a": a, "model_b": b, "value": matrix[i, j]}
            for (i, a), (j, b) in itertools.product(enumerate(names), repeat=2)
            if kind == "inverted" or i <= j
        ]
    )


def published(folder, models, seed=0):
    """A similarity matrix with three planted clusters (two for two models) and a table of components, as
    somebody may have published them, and the config of their study.

    Models of a cluster share their base family, and neither how they were found nor their activation.
    """
    rng = np.random.default_rng(seed)
    families = ("CNN", "Transformer", "MLP")
    groups = np.arange(models) * min(3, models) // models
    names = [f"{families[group].lower()}-{i}" for i, group in enumerate(groups)]
    values = np.where(groups[:, None] == groups, 4.0, 2.6) + rng.normal(0, 0.15, (models, models))
    values = (values + values.T) / 2
    np.fill_diagonal(values, np.log(100))
    pd.DataFrame(values, names, names).to_csv(folder / "sat.csv")
    found = {key: rng.choice(words, models) for key, words in OTHER_COMPONENTS.items()}
    components = pd.DataFrame({"model": names, "base_family": np.take(families, groups), **found})
    components.to_csv(folder / "components.csv", index=False)
    return {
        "study": f"published-{models}",
        "models": [{"name": name, "source": "none"} for name in names],
        "imported": [{"label": "sat", "file": "sat.csv"}],
        "components": {"file": "components.csv", "replace": True},
        "clusters": {"number": min(3, models), "repeats": 5},
        "figures": {"order": "cluster"},
    }


EVIL = "</script><script>alert(1)</script>"
OTHER_COMPONENTS = {
    "activation": ("ReLU", "GELU"),
    "search": ("yes", "no"),
    f"{EVIL}$x_{{$": (EVIL, r"$\frac{1}$"),
}
