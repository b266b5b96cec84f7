"""A stitch, and the model that it makes of a front and an end.

A stitched model is a classifier as any other: it has logits and a representation, and can be attacked and
inverted. It knows nothing of how a stitch comes to be.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import conv2d, linear

from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier
from modelkin.networks.graph import CutPoint, Graph
from modelkin.stitching import layouts
from modelkin.stitching.layouts import Layout, layout


class Stitch(nn.Module):
    """An affine map of channels, the same at every position: a 1 x 1 convolution where there is a grid.

    Parameters
    ----------
    front, end : Layout
        Of what it is given and of what it gives.

    Raises
    ------
    ModelkinError
        If positions of the one cannot be brought to those of the other.

    Notes
    -----
    A new one is as torch makes a 1 x 1 convolution, bias included, drawn from torch's global generator.
    """

    def __init__(self, front: Layout, end: Layout):
        super().__init__()
        if why := layouts.obstacle(front, end):
            raise ModelkinError(f"no stitch joins these places, for {why}; stitch them elsewhere.")
        self._front, self._end = front, end
        self.weight = nn.Parameter(torch.empty(end.channels, front.channels))
        self.bias = nn.Parameter(torch.empty(end.channels))
        bound = front.channels**-0.5
        for values in (self.weight, self.bias):
            nn.init.uniform_(values, -bound, bound)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The front's values (n, *front.shape) -> values for the end (n, *end.shape)."""
        if self._front.grid == self._end.grid and not (self._front.last or self._end.last):
            return conv2d(values, self.weight[:, :, None, None], self.bias)
        return self._end.values(linear(layouts.moved(values, self._front, self._end), self.weight, self.bias))

    @torch.no_grad()
    def set(self, weight: torch.Tensor, bias: torch.Tensor) -> Stitch:
        """Give it a weight (end channels, front channels) and a bias (end channels,); itself."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        return self


class Halves(NamedTuple):
    """A model that can be cut: its graph, and itself."""

    model: Classifier
    graph: Graph

    def layout(self, cut: CutPoint) -> Layout:
        """Of the values at a cut point."""
        return layout(cut.shape)


def halves(model: Classifier, name: str = "the model") -> Halves:
    """A frozen model and its graph; ModelkinError with its name if it cannot be followed."""
    try:
        return Halves(model, Graph(model.network, model.prepared(model.blank(2))))
    except ModelkinError as error:
        raise ModelkinError(f"{name} cannot be stitched: {error}") from None


def stitched_model(
    front: Halves, front_cut: CutPoint, stitch: Stitch, end: Halves, end_cut: CutPoint
) -> Classifier:
    """The model that is the front up to a cut point, a stitch, and the end from a cut point on.

    Parameters
    ----------
    front, end : Halves
    front_cut, end_cut : CutPoint
        Of their graphs.
    stitch : Stitch

    Returns
    -------
    Classifier
        In eval mode; it takes images as the front does. Its parameters and buffers are the donors' own, not
        copies. Its representation is what the end's last cut point gives.
    """
    last = end.graph.cut_points[-1]
    body = nn.Identity() if end_cut.name == last.name else end.graph.between(end_cut, last)
    network = nn.Sequential(
        OrderedDict(front=front.graph.front(front_cut), stitch=stitch, body=body, head=end.graph.end(last))
    )
    own = front.model
    mean, std = (value.flatten().tolist() for value in (own.mean, own.std))
    made = Classifier(network, "head", mean, std, own.size, own.resize)
    return made.to(own.mean.device).eval()
