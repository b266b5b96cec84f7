"""Donors whose batch norms drift while a stitch is trained, as in the code of balogh2023.

It knows graphs of operations, and nothing of what is trained in them.
"""

from __future__ import annotations

import copy

import torch
from torch import fx, nn
from torch.nn.functional import batch_norm

from modelkin.networks.classifier import Classifier


class DriftingNorm(nn.Module):
    """A batch norm that takes a batch's own statistics in training mode, and keeps a running mean of them.

    Parameters
    ----------
    momentum : float
        Of the running mean: the share of the newest batch.
    epsilon : float
    """

    def __init__(self, momentum: float, epsilon: float):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon

    def forward(self, x, weight, bias, mean, variance) -> torch.Tensor:
        """Normalise x (n, channels, ...); mean and variance change in place in training mode."""
        return batch_norm(x, mean, variance, weight, bias, self.training, self.momentum, self.epsilon)


def with_drifting_norms(model: Classifier) -> Classifier:
    """A copy of a stitched model whose batch norms are those of training in training mode.

    Parameters
    ----------
    model : Classifier
        Of :func:`modelkin.stitching.stitched.stitched_model`.

    Returns
    -------
    Classifier
        Nothing in it is the donors' but its stitch, which is the very one of the model.
    """
    stitch = model.network.get_submodule("stitch")
    made = copy.deepcopy(model, {id(stitch): stitch})
    for part in made.network.children():
        if isinstance(part, fx.GraphModule):
            _let_drift(part)
    return made.eval()


def _let_drift(part: fx.GraphModule) -> None:
    """Put a module of its own in the place of each batch norm."""
    norms = [node for node in part.graph.nodes if node.target is torch.ops.aten.batch_norm.default]
    for number, node in enumerate(norms):
        x, weight, bias, mean, variance, _, momentum, epsilon, _ = node.args
        name = f"drifting_norm_{number}"
        part.add_submodule(name, DriftingNorm(momentum, epsilon))
        with part.graph.inserting_before(node):
            new = part.graph.call_module(name, (x, weight, bias, mean, variance))
        node.replace_all_uses_with(new)
        part.graph.erase_node(node)
    part.recompile()
