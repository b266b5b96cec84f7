"""A vision transformer (Dosovitskiy et al. 2021) with averaged tokens."""

from __future__ import annotations

import torch
from torch import nn

from modelkin.networks.architectures.base import Patches, TokenAverage, perceptron

PATCH = 4
DEPTH, HEADS = 2, 4


class Block(nn.Module):
    def __init__(self, dimension: int):
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(dimension), nn.LayerNorm(dimension)
        self.queries_keys_values = nn.Linear(dimension, 3 * dimension)
        self.join = nn.Linear(dimension, dimension)
        self.mlp = perceptron(dimension, 2 * dimension)

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        heads = self.queries_keys_values(x).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(*heads)
        return self.join(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.before_attention(x))
        return x + self.mlp(self.before_mlp(x))


def build(channels: int, size: int, width: int, representation: int) -> nn.Module:
    """Patches of 4 pixels, two blocks; the dimension is that of the representation."""
    return nn.Sequential(
        Patches(channels, size, PATCH, representation),
        *(Block(representation) for _ in range(DEPTH)),
        nn.LayerNorm(representation),
        TokenAverage(),
    )
