"""An MLP-mixer (Tolstikhin et al. 2021)."""

from __future__ import annotations

import torch
from torch import nn

from modelkin.networks.architectures.base import Patches, TokenAverage, perceptron

PATCH = 4
DEPTH = 2


class Block(nn.Module):
    def __init__(self, tokens: int, dimension: int):
        super().__init__()
        self.before_tokens, self.before_channels = nn.LayerNorm(dimension), nn.LayerNorm(dimension)
        self.tokens = perceptron(tokens, 2 * tokens)
        self.channels = perceptron(dimension, 2 * dimension)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.tokens(self.before_tokens(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.before_channels(x))


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """Patches of 4 pixels, two blocks; the dimension is that of the representation."""
    patches = Patches(channels, size, PATCH, representation)
    return nn.Sequential(
        patches,
        *(Block(patches.tokens, representation) for _ in range(DEPTH)),
        nn.LayerNorm(representation),
        TokenAverage(),
    )
