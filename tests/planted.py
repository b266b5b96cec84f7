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
