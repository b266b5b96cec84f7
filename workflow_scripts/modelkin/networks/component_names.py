"""The components by which architectures are described (hwang2024), without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelkin import lazy

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
else:
    np = lazy.module("numpy")
    pd = lazy.module("pandas")


# The 13 that hwang2024's Table 1 draws its keywords from, and what they mean in tables.
COMPONENTS = {
    "base_family": "CNN, CNN with attention, Transformer or MLP",
    "hierarchy": "whether there are fewer positions at the end than after the stem",
    "stem": "the convolutions, or the linear map, that come first",
    "stem_pooling": "pooling that follows the stem: max, average or none",
    "input_size": "pixels a side of the images that it takes",
    "normalisation": "kinds of normalisation: batch, layer, group, RMS or none",
    "activation": "activation functions",
    "self_attention": "whether positions attend to each other",
    "channel_attention": "whether channels are weighted by what was read off all positions",
    "channel_attention_place": "where in their blocks: middle or end of blocks, or none",
    "depthwise_convolution": "whether there are depthwise convolutions",
    "grouped_convolution": "whether there are grouped convolutions",
    "final_pooling": "how positions become one representation: average, max, class token, attention, flatten",
}
