"""Last layers trained anew on the same images: whether two models then answer more alike.

If two models use the same features of inverted images, their last layers are all that is left to differ. It
is given representations, and knows neither files nor models.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

STEPS = 500


class Shown(NamedTuple):
    """What two models compute of the same images.

    Attributes
    ----------
    body, head : ndarray of shape (n, p), (n, q)
        Representations.
    labels : ndarray of int, shape (n,)
        Classes of the images; of inverted images those of their targets.
    """

    body: np.ndarray
    head: np.ndarray
    labels: np.ndarray


def retrained_columns(
    inverted: Shown, natural: Shown, test: Shown, answers: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """Agreement of two models on test images, by their own last layers and by ones that are trained anew.

    Parameters
    ----------
    inverted : Shown
        Images inverted for one of the models, of which new last layers are made for both.
    natural : Shown
        Training images, of which as many make another one for each: what training on the same images does by
        itself.
    test : Shown
        Images on which they are asked.
    answers : tuple of ndarray of int, shape (n,)
        Of the models themselves on these.

    Returns
    -------
    dict
        Columns of the table ``stitching_agreement``. NaN if the images that last layers are made of are of
        one class.
    """
    found: dict[str, Any] = {
        "agreement_models": float((answers[0] == answers[1]).mean()),
        "n_retrained": len(inverted.labels),
    }
    few = np.linspace(0, len(natural.labels) - 1, min(len(inverted.labels), len(natural.labels))).astype(int)
    natural = Shown(*(each[few] for each in natural))
    for name, shown in (("inverted", inverted), ("natural", natural)):
        if len(np.unique(shown.labels)) < 2:
            values = [float("nan")] * 3
        else:
            body = retrained_answers(shown.body, shown.labels, test.body)
            head = retrained_answers(shown.head, shown.labels, test.head)
            values = [
                float(right.mean()) for right in (body == head, body == test.labels, head == test.labels)
            ]
        kinds = (f"agreement_{name}", f"accuracy_body_{name}", f"accuracy_head_{name}")
        found |= dict(zip(kinds, values, strict=True))
    return found


def retrained_answers(values: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Answers of a new last layer: multinomial logistic regression of standardised features.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        Representations that it is trained on.
    labels : ndarray of int, shape (n,)
    asked : ndarray of shape (m, p)

    Returns
    -------
    ndarray of int, shape (m,)
    """
    made = make_pipeline(StandardScaler(), LogisticRegression(max_iter=STEPS))
    made.fit(values.astype(np.float64), labels)
    answers: np.ndarray = made.predict(asked.astype(np.float64))
    return answers
