"""Batch norms folded into the convolutions before them: the same function, faster.

What is folded is a module of the network and keeps its name, so modules are listened to, and not the graph.
"""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@torch.no_grad()
def fold_batch_norms(network: nn.Module, example: torch.Tensor) -> nn.Module:
    """A copy of a frozen network whose batch norms are part of the convolutions before them.

    A norm is folded if it is given what one convolution made and nothing else uses that, which is
    checked: the copy must give the example the same logits, or the pair is left as it is. Faster,
    and the same function up to rounding.
    """
    network = copy.deepcopy(network)
    wanted = network(example)
    close = {"rtol": 1e-4, "atol": 1e-4 * float(wanted.abs().max())}
    pairs = _followed(network, example)
    # All at once; one by one only if some pair is not what it seems.
    for group in [pairs, *([pair] for pair in pairs)]:
        before = {name: network.get_submodule(name) for pair in group for name in pair}
        for convolution, norm in group:
            _replace(network, convolution, fuse_conv_bn_eval(before[convolution], before[norm]))
            _replace(network, norm, _rest(before[norm]))
        if torch.allclose(network(example), wanted, **close):
            if group is pairs:
                break
            continue
        for name, module in before.items():
            _replace(network, name, module)
    return network


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    """What is left of a norm that has been folded: timm's have an activation of their own."""
    return nn.Sequential(norm.drop, norm.act) if hasattr(norm, "act") else nn.Identity()


def _followed(network: nn.Module, example: torch.Tensor) -> list[tuple[str, str]]:
    """(convolution, norm) wherever a batch norm's input is the output of a convolution; each called once."""
    made: dict[int, str] = {}
    pairs, calls, kept = [], Counter(), []

    def listen(name: str):
        def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            calls[name] += 1
            kept.append(output)  # so that no other tensor gets its id
            if isinstance(module, nn.Conv2d):
                made[id(output)] = name
            elif id(inputs[0]) in made:
                pairs.append((made[id(inputs[0])], name))

        return hook

    modules = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    handles = [module.register_forward_hook(listen(name)) for name, module in modules]
    try:
        network(example)
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, module)
