"""A plain convolutional network with max pooling and a dense layer (Simonyan and Zisserman 2015)."""

from __future__ import annotations

from torch import nn

from modelkin.networks.architectures.base import convolution

SMALLEST = 4  # or nothing is left of them after pooling twice


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """Two pairs of convolutions, each followed by pooling, then one dense layer."""
    return nn.Sequential(
        convolution(channels, width),
        convolution(width, width),
        nn.MaxPool2d(2),
        convolution(width, 2 * width),
        convolution(2 * width, 2 * width),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * (size // 4) ** 2, representation),
        nn.ReLU(),
    )
