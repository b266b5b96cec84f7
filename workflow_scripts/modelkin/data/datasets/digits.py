"""scikit-learn's handwritten digits: 1,797 real 8 x 8 grey images of ten classes, no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelkin import lazy
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    from modelkin.data import images
else:
    images = lazy.module("modelkin.data.images")

IMAGES, CLASSES = 1797, 10


def counts(size: int = 16, test: int = 500, seed: int = 0) -> dict[str, int]:
    """What :func:`load` will return, after checking its settings."""
    if not 8 <= size <= 256:
        raise ModelkinError(f"dataset digits: size must be between 8 and 256 pixels, not {size}.")
    if not 0 < test < IMAGES:
        raise ModelkinError(f"dataset digits: test must be between 1 and {IMAGES - 1} images, not {test}.")
    return {"train": IMAGES - test, "test": test, "classes": CLASSES, "size": size}


def shape(size: int = 16, test: int = 500, seed: int = 0) -> tuple[int, int, int]:
    """Channels, height and width of the images."""
    return 1, size, size


def missing(**settings) -> list[str]:
    """Nothing: the digits come with scikit-learn."""
    return []


def files(**settings) -> list[str]:
    """None: the digits come with scikit-learn."""
    return []


def load(size: int = 16, test: int = 500, seed: int = 0) -> dict[str, images.Images]:
    """Digits upsampled bilinearly to size x size pixels; a seeded draw of ``test`` of them is held out."""
    import torch
    from sklearn.datasets import load_digits

    counts(size, test)
    found = load_digits()
    pixels = torch.from_numpy(found.images[:, None] / 16).float()
    pixels = torch.nn.functional.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False)
    ids = np.array([f"digits-{i:04d}" for i in range(len(pixels))])
    order = np.random.default_rng(seed).permutation(len(ids))
    held = {"test": np.sort(order[:test]), "train": np.sort(order[test:])}
    classes = [str(c) for c in found.target_names]
    return {
        split: images.Images(pixels.numpy()[rows], found.target[rows].astype(np.int64), ids[rows], classes)
        for split, rows in held.items()
    }
