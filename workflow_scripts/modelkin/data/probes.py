"""Which images the models are compared on: drawn once, by sample id, and shared by all models."""

from __future__ import annotations

import numpy as np
import pandas as pd

from modelkin.data.images import Images
from modelkin.errors import ModelkinError


def natural_probe(images: Images, samples: int, rng: np.random.Generator) -> Images:
    """Draw natural images without replacement.

    Parameters
    ----------
    images : Images
    samples : int
    rng : Generator

    Returns
    -------
    Images
        In the order of the dataset.

    Raises
    ------
    ModelkinError
        If there are fewer images than are asked for.
    """
    if samples > len(images):
        raise ModelkinError(
            f"the natural probe asks for {samples} images, but the dataset's test split has {len(images)}."
        )
    return images.select(images.ids[np.sort(rng.choice(len(images), samples, replace=False))])


def seed_target_pairs(images: Images, samples: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw pairs of a seed and a target image of different classes, from which inverted images are made.

    Targets are drawn without replacement; each seed is drawn from the images of other classes (jones2022,
    Section 3.2).

    Parameters
    ----------
    images : Images
    samples : int
        Number of pairs.
    rng : Generator

    Returns
    -------
    DataFrame
        Columns sample (``seed>target``), seed and target (ids), seed_label and target_label.

    Raises
    ------
    ModelkinError
        If there are fewer images than are asked for, or they are of one class.
    """
    if samples > len(images):
        raise ModelkinError(
            f"the inverted probes ask for {samples} targets, but the dataset's test split has {len(images)}."
        )
    if len(np.unique(images.labels)) < 2:
        raise ModelkinError("seed and target must differ in class, but the images are all of one class.")
    targets = rng.choice(len(images), samples, replace=False)
    seeds = np.array([rng.choice(np.flatnonzero(images.labels != images.labels[t])) for t in targets])
    return pd.DataFrame(
        {
            "sample": [f"{images.ids[s]}>{images.ids[t]}" for s, t in zip(seeds, targets, strict=True)],
            "seed": images.ids[seeds],
            "target": images.ids[targets],
            "seed_label": images.labels[seeds],
            "target_label": images.labels[targets],
        }
    )
