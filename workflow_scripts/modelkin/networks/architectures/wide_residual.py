"""A wide residual network of 28 layers (Zagoruyko and Komodakis 2016): WRN-28-k has width 16 k."""

from __future__ import annotations

import torch
from torch import nn

from modelkin.networks.architectures.base import GlobalAverage

STEM = 16  # channels before the first stage, whatever the width
BLOCKS = 4  # of two convolutions, in each of three stages


class Block(nn.Module):
    """Norm and ReLU before each of two convolutions; a shortcut that changes shapes follows the first."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(outputs), nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = self.relu1(self.norm1(x))
        made = self.conv2(self.relu2(self.norm2(self.conv1(active))))
        return made + (x if self.shortcut is None else self.shortcut(active))


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """Three stages at full, half and quarter resolution; as published, ``representation`` is 4 ``width``."""
    widths, blocks = [STEM, width, 2 * width, representation], []
    for stage in range(3):
        for number in range(BLOCKS):
            inputs = widths[stage] if number == 0 else widths[stage + 1]
            blocks.append(Block(inputs, widths[stage + 1], 2 if stage and number == 0 else 1))
    return nn.Sequential(
        nn.Conv2d(channels, STEM, 3, 1, 1, bias=False),
        *blocks,
        nn.BatchNorm2d(representation),
        nn.ReLU(),
        GlobalAverage(),
    )
