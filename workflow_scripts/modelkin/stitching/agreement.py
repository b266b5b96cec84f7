"""Heads that are given what other models compute: whom they then agree with (jones2022, Section 4.5).

It is given representations and answers, and knows neither files nor where a model is from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier
from modelkin.networks.tracing import captured_inputs
from modelkin.stitching import judging, matching

ALIKE = 0.999  # of images: answers of a head alone that are the model's, or it is more than its head


class Computed(NamedTuple):
    """What one model computed.

    Attributes
    ----------
    train : ndarray of shape (m, p)
        Its representations of training images.
    test : ndarray of shape (n, p)
        Those of test images.
    answers : ndarray of int, shape (n,)
        The class that it gives each test image.
    """

    train: np.ndarray
    test: np.ndarray
    answers: np.ndarray


Head = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def head_of(model: Classifier) -> Head:
    """What gives a class to each representation, (n, p) -> (n,): the last layer of a model alone.

    Parameters
    ----------
    model : Classifier
    """
    with captured_inputs(model.network, [model.head]) as seen:
        model(model.blank(1))
    shape, module = seen[model.head].shape[1:], model.network.get_submodule(model.head)

    def head(representations: torch.Tensor) -> torch.Tensor:
        given = representations.to(model.mean).reshape(len(representations), *shape)
        with torch.no_grad():
            return module(given).flatten(1).argmax(1)

    return head


def check_head(head: Head, own: Computed, name: str, device: torch.device | str = "cpu") -> str:
    """Why a model's head alone does not give its answers; empty if it does."""
    given = head(torch.from_numpy(own.test).to(device)).cpu().numpy()
    if (given == own.answers).mean() >= ALIKE:
        return ""
    return f"'{name}' computes more after its representation than its head; name another `head`."


def agreement_row(
    body: Computed,
    head: Computed,
    answer: Head,
    labels: np.ndarray,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Map a body's representations to a head's by least squares on training images, and ask the head.

    Parameters
    ----------
    body, head : Computed
        Of the same images in the same order.
    answer : callable
        Of :func:`head_of` of the head.
    labels : ndarray of int, shape (n,)
        Of the test images.
    device : torch.device or str
        Of the head.

    Returns
    -------
    dict
        Columns of the table ``stitching_agreement``, names and levels left out. Shares of no images are NaN.
    """
    x, y, test, own = (
        torch.from_numpy(each).to(device) for each in (body.train, head.train, body.test, head.test)
    )
    trained = matching.of_rows(x, y)
    weight, bias = matching.solve(trained)
    stitched = (test.double() @ weight.T + bias).float()
    return {
        "r2": matching.r2(weight, bias, matching.of_rows(test, own)),
        "r2_train": matching.r2(weight, bias, trained),
        "n_train": len(x),
        "n": len(labels),
        **compared_answers(answer(stitched).cpu().numpy(), body.answers, head.answers, labels),
        "note": "",
    }


def compared_answers(
    stitched: np.ndarray, body: np.ndarray, head: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Whom stitched answers agree with, where body and head agree (right, wrong) and where they differ.

    Parameters
    ----------
    stitched, body, head, labels : ndarray of int, shape (n,)

    Returns
    -------
    dict
        Shares of images with Wilson's intervals and numbers of images.
    """
    like_head, differ = stitched == head, body != head
    right, wrong = ~differ & (head == labels), ~differ & (head != labels)
    found = {
        "accuracy_body": float((body == labels).mean()),
        "accuracy_head": float((head == labels).mean()),
        "accuracy_stitched": float((stitched == labels).mean()),
    }
    for name, images in (("all", slice(None)), ("right", right), ("wrong", wrong), ("differ", differ)):
        found |= _share(name, like_head[images])
    there = bool(differ.any())
    others = {
        "differ_body": stitched == body,
        "differ_neither": (stitched != body) & ~like_head,
        "differ_head_right": head == labels,
        "differ_body_right": body == labels,
    }
    return found | {name: float(of[differ].mean()) if there else float("nan") for name, of in others.items()}


def _share(case: str, alike: np.ndarray) -> dict[str, float]:
    share = float(alike.mean()) if len(alike) else float("nan")
    low, high = judging.wilson(share, len(alike))
    name = f"agreement_{case}"
    return {name: share, f"{name}_low": low, f"{name}_high": high, f"n_{case}": len(alike)}


def row_or_note(
    body: Computed, head: Computed, answer: Head, labels: np.ndarray, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """:func:`agreement_row`, or why there is no map, as when a representation is the same for all images."""
    try:
        return agreement_row(body, head, answer, labels, device)
    except ModelkinError as error:
        return {"note": str(error)}
