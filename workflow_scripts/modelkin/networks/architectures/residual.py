"""A residual network of basic blocks (He et al. 2016)."""

from __future__ import annotations

import torch
from torch import nn

from modelkin.networks.architectures.base import GlobalAverage, convolution


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first = convolution(inputs, outputs, stride=stride)
        self.second = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """Three stages at full, half and quarter resolution."""
    return nn.Sequential(
        convolution(channels, width),
        Block(width, width, 1),
        Block(width, 2 * width, 2),
        Block(2 * width, representation, 2),
        GlobalAverage(),
    )
