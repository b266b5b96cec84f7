"""What a network is made of, found by following one forward pass: its head and its split points.

It knows nothing of where a network comes from or what it is used for.

Every model gets a card, also one that :class:`modelkin.networks.graph.Graph` cannot follow, and one pass
takes hundredths of a second where a graph takes seconds: so this listens to modules and to autograd. A test
holds that each split point is a cut point of the graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from modelkin.errors import ModelkinError


class Reached(Exception):
    """The forward pass has come to where it was to stop."""


@contextlib.contextmanager
def captured_inputs(
    network: nn.Module, names: Iterable[str], stop: bool = False
) -> Iterator[dict[str, torch.Tensor]]:
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
    with captured_inputs(network, names) as seen:
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
                resolution = (shape[1], shape[2]) if output.ndim == 4 else None
                made[output.grad_fn] = SplitPoint(name, shape, resolution)

        return hook

    handles = [m.register_forward_hook(listen(name)) for name, m in network.named_modules() if name]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.requires_grad_(False)
    try:
        with torch.enable_grad():
            logits = network(example.detach().clone().requires_grad_(True))
    finally:
        for handle in handles:
            handle.remove()
        for parameter in trained:
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
    after: dict[Any, list] = {end: []}
    finished = []
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
def outputs(network: nn.Module, example: torch.Tensor) -> int:
    """Numbers that modules without modules of their own put out for one image."""
    total = 0

    def count(module: nn.Module, inputs: object, output: object) -> None:
        nonlocal total
        total += output.numel() if isinstance(output, torch.Tensor) else 0

    hooks = [module.register_forward_hook(count) for module in network.modules() if not [*module.children()]]
    try:
        network(example[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return total
