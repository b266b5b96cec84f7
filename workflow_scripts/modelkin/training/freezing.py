"""First blocks of a network that are trained no further from an epoch on.

It knows networks as graphs, and nothing of losses, images or files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier
from modelkin.networks.graph import Graph


@dataclass(frozen=True)
class Freezing:
    """So many blocks from the first on, after so many epochs.

    Parameters
    ----------
    blocks : int
        At least one; they end where :class:`modelkin.networks.graph.CutPoint` says.
    after : int
        Epochs for which they are trained.
    """

    blocks: int
    after: int


class Freezer:
    """Freezes blocks of a model along its training (Cianfarani et al. 2022, Appendix D.5).

    What is frozen keeps every bit: parameters, and the statistics of batch norms, which then hold.

    Parameters
    ----------
    model : Classifier
        It is left in eval mode.
    asked : sequence of Freezing

    Raises
    ------
    ModelkinError
        If there are not so many blocks, or the network cannot be followed operation by operation.
    """

    def __init__(self, model: Classifier, asked: Sequence[Freezing]):
        self._steps: dict[int, tuple[list[nn.Parameter], list[nn.Module]]] = {}
        if not asked:
            return
        with torch.random.fork_rng():  # whoever freezes nothing draws the same numbers
            graph = Graph(model.network, model.prepared(model.blank(2).to(model.mean.device)))
        ends = [point for point in graph.cut_points if point.block_end]
        for each in asked:
            if each.blocks > len(ends):
                raise ModelkinError(
                    f"freeze: there is no block {each.blocks} to freeze; the network has {len(ends)} that "
                    f"end before its logits, at {', '.join(point.name for point in ends)}."
                )
            self._steps[each.after] = _within(model.network, graph.front(ends[each.blocks - 1]))

    def freeze(self, epoch: int) -> Iterator[nn.Module]:
        """Freeze what is to be after so many epochs; yield modules that stay in eval mode from now on."""
        parameters, modules = self._steps.get(epoch, ([], []))
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None  # or optimisers would go on with momentum and weight decay
        yield from modules


def _within(network: nn.Module, front: nn.Module) -> tuple[list[nn.Parameter], list[nn.Module]]:
    """The parameters of a front, and the network's modules whose own tensors are all in it."""
    parameters = list(front.parameters())
    inside = {id(tensor) for tensor in (*parameters, *front.buffers())}
    modules = []
    for module in network.modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        # A batch norm counts its batches in a buffer that no operation reads.
        floating = [tensor for tensor in own if tensor.is_floating_point()]
        if floating and all(id(tensor) in inside for tensor in floating):
            modules.append(module)
    return parameters, modules
