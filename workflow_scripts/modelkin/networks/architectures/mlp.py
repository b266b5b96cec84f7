"""A perceptron on the flattened image: no notion of neighbouring pixels."""

from __future__ import annotations

from torch import nn


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """Two hidden layers of 16 times the width, then the representation."""
    hidden = 16 * width
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * size * size, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, representation),
        nn.ReLU(),
    )
