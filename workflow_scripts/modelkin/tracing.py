"""What a network is made of, found by following one forward pass: its head and its split points.

It knows nothing of where a network comes from or what it is used for.
"""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from modelkin.errors import ModelkinError


class Reached(Exception):
    """The forward pass has come to where it was to stop."""


@contextlib.contextmanager
def heard(network: nn.Module, names: Iterable[str], stop: bool = False) -> Iterator[dict[str, torch.Tensor]]:
    """While it is open, the first input of each module of these names is kept, in order of the calls.

    stop: the forward pass ends at the first of them, by raising :class:`Reached`.
    """
    seen: dict[str, torch.Tensor] = {}

    def listen(name: str):
        def hook(module: nn.Module, inputs: tuple) -> None:
            seen.setdefault(name, inputs[0])
            if stop:
                raise Reached

        return network.get_submodule(name).register_forward_pre_hook(hook)

    handles = [listen(name) for name in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def find_head(network: nn.Module, example: torch.Tensor) -> str:
    """The name of the last linear layer or 1 x 1 convolution that makes the logits.

    example: normalised images (n, c, h, w), n at least 2. What is found is checked: with that
    layer's input put in its place, the logits of blank images must be those of the example.
    Raises ModelkinError if there is no such layer.
    """
    network.eval()
    names = [name for name, module in network.named_modules() if _is_affine(module)]
    with heard(network, names) as seen:
        logits = network(example)
    for name in reversed(seen):
        if makes_logits(network, name, seen[name], example, logits):
            return name
    raise ModelkinError(
        "no linear layer or 1 x 1 convolution makes the logits; name the layer whose input is the "
        "representation as `head`."
    )


def _is_affine(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1))


@torch.no_grad()
def makes_logits(network: nn.Module, name: str, given: torch.Tensor, example, logits) -> bool:
    """Whether the logits depend on the images through this module's input alone: ``given`` in its place
    gives blank images the logits of the example."""
    handle = network.get_submodule(name).register_forward_pre_hook(lambda module, inputs: (given,))
    try:
        return torch.allclose(network(torch.zeros_like(example)), logits, atol=1e-4, rtol=1e-4)
    finally:
        handle.remove()


class SplitPoint(NamedTuple):
    """A module through whose output alone the images reach the logits.

    shape: of that output for one image. resolution: its height and width, None if it has none.
    """

    name: str
    shape: tuple[int, ...]
    resolution: tuple[int, int] | None


def split_points(network: nn.Module, example: torch.Tensor) -> list[SplitPoint]:
    """The points at which a network can be cut in two, in order: block outputs, never inside a skip.

    example: normalised images (n, c, h, w). A module's output is one if every path of the autograd
    graph from the images to the logits leads through it. Of modules with the same output only
    the outermost is named.
    """
    made: dict[object, SplitPoint] = {}
    kept = []  # autograd nodes are compared by identity, so they must stay alive

    def listen(name: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.grad_fn is not None and output.ndim >= 2:
                kept.append(output.grad_fn)
                shape = tuple(output.shape[1:])
                resolution = shape[1:] if output.ndim == 4 else None
                made[output.grad_fn] = SplitPoint(name, shape, resolution)

        return hook

    handles = [m.register_forward_hook(listen(name)) for name, m in network.named_modules() if name]
    frozen = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.requires_grad_(False)
    try:
        with torch.enable_grad():
            logits = network(example.detach().clone().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
        for parameter in frozen:
            parameter.requires_grad_(True)
    cuts = _bottlenecks(logits.grad_fn)
    return [made[node] for node in cuts if node in made and node is not logits.grad_fn]


def _bottlenecks(end) -> list:
    """The nodes of an autograd graph that every path to its end passes, in forward order.

    In a topological order a node is one if no edge leads past it.
    """
    order, after = _topological(end)
    at = {node: number for number, node in enumerate(order)}
    reach, found = 0, []
    for number, node in enumerate(order):
        if reach <= number:
            found.append(node)
        reach = max([reach, *(at[user] for user in after[node])])
    return found


def _topological(end) -> tuple[list, dict]:
    """The nodes before ``end``, each before those that use it; and for each the nodes that use it."""
    after, finished = {end: []}, []
    path = [(end, iter(end.next_functions))]
    while path:
        node, rest = path[-1]
        step = next(rest, None)
        if step is None:
            finished.append(node)
            path.pop()
        elif step[0] is not None:
            before = step[0]
            if before not in after:
                after[before] = []
                path.append((before, iter(before.next_functions)))
            after[before].append(node)
    return finished, after


@torch.no_grad()
def multiply_adds(network: nn.Module, example: torch.Tensor) -> int:
    """Multiplications with addition for one image, in convolutions, linear maps and attention."""
    # Slow to import, and seldom needed.
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network(example[:1])
    return counter.get_total_flops() // 2


@torch.no_grad()
def folded(network: nn.Module, example: torch.Tensor) -> nn.Module:
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
