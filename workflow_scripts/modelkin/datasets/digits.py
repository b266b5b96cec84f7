"""scikit-learn's handwritten digits: 1,797 real 8 x 8 grey images of ten classes, no download."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits

from modelkin.images import Images


def load(size: int = 16, test: int = 500, seed: int = 0) -> dict[str, Images]:
    """Digits upsampled bilinearly to size x size pixels; a seeded draw of ``test`` of them is held out."""
    found = load_digits()
    pixels = torch.from_numpy(found.images[:, None] / 16).float()
    pixels = torch.nn.functional.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False)
    ids = np.array([f"digits-{i:04d}" for i in range(len(pixels))])
    order = np.random.default_rng(seed).permutation(len(ids))
    held = {"test": np.sort(order[:test]), "train": np.sort(order[test:])}
    classes = [str(c) for c in found.target_names]
    return {
        split: Images(pixels.numpy()[rows], found.target[rows].astype(np.int64), ids[rows], classes)
        for split, rows in held.items()
    }
