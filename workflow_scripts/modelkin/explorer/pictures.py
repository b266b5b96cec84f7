"""Which images of a study stand in its page: a few of each probe, and the answers to natural ones.

It picks rows; what was measured of an image comes with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from modelkin.data.images import Images
from modelkin.explorer.page import Pictures, Predictions

GALLERY = 10  # inverted images of a model
WORST = 6
ATTACKED = 10
DISPUTED = 60  # natural images on which models differ
ANSWERS = 2000  # natural images whose answers are kept


def gather_pictures(
    test: Images,
    pairs: pd.DataFrame,
    natural: Images,
    inverted: Mapping[str, xr.Dataset],
    adversarial: Mapping[str, Mapping[str, xr.Dataset]],
    shown: Sequence[int],
) -> Pictures:
    """Pick the images of a study's page.

    Parameters
    ----------
    test : Images
        The test split, of which seeds and targets are.
    pairs : DataFrame
        Sample, seed and target of every inverted image.
    natural : Images
        The natural probe.
    inverted : mapping of str to Dataset
        The inverted probes by model: image, loss (sample).
    adversarial : mapping of str to mapping of str to Dataset
        The adversarial probes by kind and model: image, right and fooled (sample).
    shown : sequence of int
        The rows of the natural probe on which models' answers are shown.

    Returns
    -------
    Pictures
    """
    first = pairs.head(GALLERY)
    names = {"natural": natural.floats(shown)} if len(shown) else {}
    about: dict[str, dict[str, list]] = {}
    for role in ("seed", "target") if inverted else ():
        rows = test.rows(first[role])  # of which some may be the same
        names[role] = test.floats(rows)
        about[role] = {"label": [test.classes[label] for label in test.labels[rows]]}
    targets = dict(zip(pairs["sample"], pairs["target"], strict=True))
    for model, probe in inverted.items():
        images, loss = Images.from_dataset(probe), probe["loss"].to_numpy()
        rows = images.rows(first["sample"])
        names[f"inverted/{model}"], about[f"inverted/{model}"] = (
            images.floats(rows),
            {"loss": _rounded(loss[rows])},
        )
        worst = np.argsort(-loss, kind="stable")[:WORST]
        names[f"worst/{model}"], about[f"worst/{model}"] = (
            images.floats(worst),
            {"loss": _rounded(loss[worst])},
        )
        # Several of them may have one target.
        wanted = [test.rows([targets[sample]])[0] for sample in images.ids[worst]]
        names[f"worst_target/{model}"] = test.floats(wanted)
    attacked = np.arange(min(ATTACKED, len(natural)))
    if adversarial:
        part = natural.pick(attacked)
        names["attacked"] = part.floats()
        about["attacked"] = {"label": [part.classes[label] for label in part.labels]}
    for kind, probes in adversarial.items():
        for model, probe in probes.items():
            images = Images.from_dataset(probe)
            rows = images.rows(natural.ids[attacked])
            right, fooled = (probe[name].to_numpy()[rows] for name in ("right", "fooled"))
            said = np.where(~right, "was wrong", np.where(fooled, "fooled", "held"))
            names[f"{kind}/{model}"], about[f"{kind}/{model}"] = (
                images.floats(rows),
                {"outcome": said.tolist()},
            )
    return Pictures(names, about)


def gather_predictions(natural: Images, logits: Mapping[str, np.ndarray]) -> Predictions:
    """Take the models' answers to natural images, and choose those on which they differ most.

    Parameters
    ----------
    natural : Images
        The natural probe.
    logits : mapping of str to ndarray of shape (n, classes)
        By model.

    Returns
    -------
    Predictions
        Of :data:`ANSWERS` images at the most, the first; shown are those that most models answer otherwise
        than the majority.
    """
    count = min(ANSWERS, len(natural))
    answers = {name: values[:count].argmax(axis=1) for name, values in logits.items()}
    every = np.stack(list(answers.values()))
    majority = np.stack([np.bincount(column).max() for column in every.T])
    dissent = len(every) - majority
    order = np.argsort(-dissent, kind="stable")[:DISPUTED]
    shown = [int(row) for row in order if dissent[row] > 0]
    return Predictions(natural.labels[:count], natural.classes, answers, shown)


def _rounded(values: np.ndarray) -> list[float | None]:
    """As numbers of few digits, for a page; None where there is none."""
    return [float(f"{value:.3g}") if np.isfinite(value) else None for value in values]
