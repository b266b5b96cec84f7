"""Which images are compared together: shuffled batches, or all at once. It knows numbers of images only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from modelkin import seeds
from modelkin.errors import ModelkinError

LEAST_SAMPLES = 4  # of which the unbiased HSIC is defined
# Measured on all pairs of cut points of a ResNet-20, 400 to 1,000 images: the standard deviation of a value
# over deals, times the root of images, batch and passes; and how far its mean is off at the most, times the
# root of the batch.
SPREAD, OFF = 1.15, 0.02
SIZES = (32, 64, 128, 256, 512, 1024)  # of batches, and numbers of passes, among which the cheapest is sought
PASSES = range(1, 11)


class Batch(NamedTuple):
    """Some of the images, compared with each other.

    Attributes
    ----------
    name : str
        Pass and number in it, from 1.
    shuffle : int
        The pass.
    rows : ndarray of int, shape (b,)
        Of the images, ascending.
    """

    name: str
    shuffle: int
    rows: np.ndarray


def minibatches(images: int, batch: int, passes: int, seed: int) -> list[Batch]:
    """Deal all images out at random, once for each pass.

    The last batch of a pass has what is left over; it counts by its images, as all do, and is left out if it
    has fewer than the four of which the unbiased HSIC is defined.

    Parameters
    ----------
    images : int
        How many there are.
    batch : int
        How many are compared at a time.
    passes : int
        How often all are dealt out anew.
    seed : int

    Returns
    -------
    list of Batch
        The same ones for the same arguments, in order.

    Raises
    ------
    ModelkinError
        For batches of fewer than four images, or fewer images than a batch.
    """
    check_batch(batch, images)
    found = []
    for shuffle in range(1, passes + 1):
        order = seeds.generator(seed, "minibatches", str(shuffle)).permutation(images)
        for number, start in enumerate(range(0, images, batch), start=1):
            rows = np.sort(order[start : start + batch])
            if len(rows) >= LEAST_SAMPLES:
                found.append(Batch(f"{shuffle}.{number}", shuffle, rows))
    return found


def all_at_once(images: int) -> list[Batch]:
    """One batch of all images; ModelkinError if they are fewer than four."""
    check_batch(images, images)
    return [Batch("1.1", 1, np.arange(images))]


def check_batch(batch: int, images: int) -> None:
    """ModelkinError unless there can be batches of that size of so many images."""
    if batch < LEAST_SAMPLES:
        raise ModelkinError(
            f"the unbiased HSIC needs batches of at least {LEAST_SAMPLES} images, not {batch}; ask for more."
        )
    if images < batch:
        raise ModelkinError(
            f"there are {images} images, fewer than a batch of {batch}; ask for a smaller batch, for more "
            "images, or for the exact estimator, which takes all at once."
        )


def dealing_error(images: int, batch: int, passes: int) -> float:
    """How far a value of CKA is to be expected off that of all images at once.

    Parameters
    ----------
    images, batch, passes : int

    Returns
    -------
    float
        0 if all are one batch.
    """
    if batch >= images:
        return 0.0
    return float(np.hypot(OFF / np.sqrt(batch), SPREAD / np.sqrt(images * batch * passes)))


def dealing_cost(batch: int, passes: int, products: float) -> float:
    """What an image costs in all passes, in forward passes; products: its product with one other image."""
    return passes * (1 + products * batch)


def cheapest_deal(images: int, error: float, products: float) -> tuple[int, int]:
    """The batch and the number of passes of least cost whose error is at most the wanted one.

    Parameters
    ----------
    images : int
    error : float
        As in :func:`dealing_error`.
    products : float
        As in :func:`dealing_cost`.

    Returns
    -------
    tuple of int
        All images at once where no batch gives so little error.
    """
    deals = [(batch, passes) for batch in SIZES for passes in PASSES if batch < images]
    enough = [deal for deal in deals if dealing_error(images, *deal) <= error]
    return min(enough, key=lambda deal: dealing_cost(deal[0], deal[1], products), default=(images, 1))
