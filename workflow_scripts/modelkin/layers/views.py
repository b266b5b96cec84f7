"""Views: a model, with some weights, on a set of images; and what its layers make of a batch of them.

It knows models and images, and nothing of what is compared with what.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modelkin import precision
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.layers.grams import Gram, u_centred_gram
from modelkin.layers.procrustes import Points, points
from modelkin.networks.classifier import Classifier
from modelkin.networks.graph import CutPoint, Graph, Layer

# What each measure needs of a layer's outputs.
MEASURES: dict[str, Callable[[torch.Tensor], Gram | Points]] = {
    "layer_cka": u_centred_gram,
    "pooled_layer_cka": lambda output: u_centred_gram(pooled(output)),
    "layer_procrustes": points,
}


class LayeredModel:
    """A model whose layers can be looked at, with other weights too.

    Parameters
    ----------
    model : Classifier
        Its network is used as it is; after the comparison it has the weights that were used last.
    layers : str or iterable of str
        As in :meth:`modelkin.networks.graph.Graph.select`.
    name : str
        How errors call it.

    Attributes
    ----------
    layers : tuple of Layer
        Those that were chosen, in the order of the forward pass.

    Raises
    ------
    ModelkinError
        If the network cannot be followed operation by operation, or a name or pattern means no layer.
    """

    def __init__(self, model: Classifier, layers: str | Iterable[str] = "all", name: str = "the model"):
        self.model, self.name = model, name
        try:
            self._graph = Graph(model.network, model.prepared(model.blank(2)))
            self._asked = [layers] if isinstance(layers, str) else list(layers)
            self.layers = self._graph.select(self._asked)
        except ModelkinError as error:
            raise ModelkinError(f"{name}: {error}") from None
        if not self.layers:
            raise ModelkinError(f"{name}: none of its layers is of {', '.join(self._asked)}.")
        self.stages = stages(self.layers)
        self._weights: Mapping[str, torch.Tensor] | None = None

    def look(
        self,
        images: torch.Tensor,
        measures: Sequence[str] = ("layer_cka",),
        weights: Mapping[str, torch.Tensor] | None = None,
    ) -> tuple[dict[str, list[Any]], torch.Tensor]:
        """Run a batch of images once, and prepare the outputs of all layers for comparison.

        Logits are compared without each image's mean logit, a shift that softmax ignores.

        Parameters
        ----------
        images : Tensor of shape (n, c, h, w)
            In [0, 1], on the model's device.
        measures : sequence of str
            Of :data:`MEASURES`.
        weights : mapping of str to Tensor, optional
            Of the network; by default those that it came with.

        Returns
        -------
        prepared : dict of list of Gram or Points
            By measure, one for each layer.
        logits : Tensor of shape (n, C)
        """
        self._use(weights)
        prepared: dict[str, list[Any]] = {each: [] for each in measures}
        logits_layer = self._graph.logits_layer

        def take(layer: Layer, output: torch.Tensor) -> None:
            if layer == logits_layer:
                output = output.float() - output.float().mean(1, keepdim=True)
            for each in measures:
                prepared[each].append(MEASURES[each](output))

        with torch.no_grad(), precision.autocast(images.device):
            logits = self._graph.observe(self.model.prepared(images), take, self._asked)
        return prepared, logits

    def _use(self, weights: Mapping[str, torch.Tensor] | None) -> None:
        if weights is self._weights:
            return
        if self._weights is None:  # what it came with is wanted again later
            self._own = {name: value.clone() for name, value in self.model.network.state_dict().items()}
        self.model.network.load_state_dict(self._own if weights is None else weights)
        self._weights = weights


@dataclass(frozen=True, eq=False)
class View:
    """A model, with its own or with other weights, on a set of images.

    Attributes
    ----------
    model : LayeredModel
    images : Images
    weights : mapping of str to Tensor, optional
        Of the network, other than its own: those of a snapshot, or random ones.
    """

    model: LayeredModel
    images: Images
    weights: Mapping[str, torch.Tensor] | None = None


def describe(model: LayeredModel) -> list[dict[str, object]]:
    """A row for each layer of a model that is compared: what the table ``layers`` says of it."""
    return [
        {
            "layer": layer.name,
            "index": layer.index,
            "operation": layer.kind,
            "depth": layer.depth,
            "stage": stage,
            "cut_point": isinstance(layer, CutPoint),
            "block_end": isinstance(layer, CutPoint) and layer.block_end,
            "shape": " x ".join(map(str, layer.shape)),
        }
        for layer, stage in zip(model.layers, model.stages, strict=True)
    ]


def stages(layers: Iterable[Layer]) -> list[int]:
    """The stage of each layer: 0 at first, one more wherever there are fewer positions than ever before."""
    found: list[int] = []
    least, stage = None, 0
    for layer in layers:
        positions = math.prod(layer.shape[axis] for axis in _position_axes(layer.shape))
        stage += least is not None and positions < least
        least = positions if least is None else min(least, positions)
        found.append(stage)
    return found


def pooled(output: torch.Tensor) -> torch.Tensor:
    """The means of a layer's outputs over positions, (n, channels); itself if there are none."""
    axes = [axis + 1 for axis in _position_axes(tuple(output.shape[1:]))]
    return output.float().mean(axes) if axes else output


def _position_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """Which axes of an image's output are positions, not features: height and width, or tokens."""
    if len(shape) == 3:
        channels_last = shape[0] == shape[1] != shape[2]
        return (0, 1) if channels_last else (1, 2)
    return (0,) if len(shape) == 2 else ()
