"""Depthwise separable convolutions (Howard et al. 2017)."""

from __future__ import annotations

from torch import nn

from modelkin.networks.architectures.base import GlobalAverage, convolution


def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A convolution within each channel, then one across channels."""
    return nn.Sequential(
        convolution(inputs, inputs, stride=stride, groups=inputs), convolution(inputs, outputs, kernel=1)
    )


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """A dense stem and four separable blocks down to quarter resolution."""
    return nn.Sequential(
        convolution(channels, 2 * width),
        separable(2 * width, 4 * width, 2),
        separable(4 * width, 4 * width, 1),
        separable(4 * width, 6 * width, 2),
        separable(6 * width, representation, 1),
        GlobalAverage(),
    )
