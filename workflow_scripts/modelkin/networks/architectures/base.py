"""Parts that more than one architecture uses."""

from __future__ import annotations

import torch
from torch import nn


def convolution(
    inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the resolution changes only by the stride."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class GlobalAverage(nn.Module):
    """(n, c, h, w) -> (n, c)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


class TokenAverage(nn.Module):
    """(n, tokens, c) -> (n, c)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)


class Patches(nn.Module):
    """(n, c, h, w) -> (n, tokens, dimension): one linear map of each patch, plus a learned position."""

    def __init__(self, channels: int, size: int, patch: int, dimension: int):
        super().__init__()
        self.tokens = (size // patch) ** 2
        self.project = nn.Conv2d(channels, dimension, patch, patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, self.tokens, dimension))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(x).flatten(2).transpose(1, 2) + self.position


def perceptron(dimension: int, hidden: int) -> nn.Sequential:
    """The two-layer perceptron of a transformer or mixer block."""
    return nn.Sequential(nn.Linear(dimension, hidden), nn.GELU(), nn.Linear(hidden, dimension))
