"""Small networks of two blocks, and images, on which stitches are tried."""

import numpy as np
import torch
from torch import nn

from modelkin.data.images import Images
from modelkin.networks.classifier import Classifier, frozen
from modelkin.stitching import places
from modelkin.stitching.stitched import halves


def network(width, seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * width, 3),
    )


def half(width=4, seed=0):
    return halves(frozen(Classifier(network(width, seed), "6", [0.2], [0.5], 8)))


def some_images():
    generator = np.random.default_rng(0)
    pixels = generator.random((48, 1, 8, 8), dtype=np.float32)
    return Images(pixels, generator.integers(0, 3, 48), np.arange(48).astype(str), list("abc"))


def blocks(one):
    return places.cut_points(one.graph, "blocks", "auto")


def floats(images):
    return torch.from_numpy(images.floats())
