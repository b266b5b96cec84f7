"""A ResNet-18 for large images (He et al. 2016, Table 1): as published, width 64 and representation 512."""

from __future__ import annotations

from torch import nn

from modelkin.networks.architectures.base import GlobalAverage, convolution
from modelkin.networks.architectures.residual import Block

BLOCKS = 2  # of two convolutions, in each of four stages


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """A quarter of the resolution after the stem and its pooling; each stage but the first halves it.

    Shortcuts that change shapes have no batch norm, as in ``residual``.
    """
    widths, blocks = [width, width, 2 * width, 4 * width, representation], []
    for stage in range(4):
        for number in range(BLOCKS):
            inputs = widths[stage] if number == 0 else widths[stage + 1]
            blocks.append(Block(inputs, widths[stage + 1], 2 if stage and number == 0 else 1))
    return nn.Sequential(
        convolution(channels, width, stride=2, kernel=7),
        nn.MaxPool2d(3, 2, 1),
        *blocks,
        GlobalAverage(),
    )
