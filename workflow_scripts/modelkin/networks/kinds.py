"""Which operations of a network are layers, and of which kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable

from torch import fx

from modelkin.networks.exporting import FACTS, called

KINDS = ("convolution", "norm", "activation", "pooling", "linear", "attention", "addition")
CALLS = {
    **dict.fromkeys(
        [f"conv{transposed}{d}d" for transposed in ("", "_transpose") for d in (1, 2, 3)] + ["convolution"],
        "convolution",
    ),
    **dict.fromkeys(
        ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "fused_rms_norm")
        + ("native_layer_norm", "native_group_norm"),
        "norm",
    ),
    **dict.fromkeys(
        (
            "relu",
            "relu6",
            "hardtanh",
            "leaky_relu",
            "prelu",
            "rrelu",
            "elu",
            "celu",
            "selu",
            "gelu",
            "silu",
            "mish",
        )
        + ("hardswish", "hardsigmoid", "sigmoid", "log_sigmoid", "tanh", "softplus", "softmax", "log_softmax")
        + ("glu", "threshold", "hardshrink", "softshrink"),
        "activation",
    ),
    **dict.fromkeys(
        [f"{how}_pool{d}d" for how in ("max", "avg", "adaptive_avg", "adaptive_max") for d in (1, 2, 3)]
        + ["max_pool2d_with_indices", "fractional_max_pool2d", "lp_pool2d"],
        "pooling",
    ),
}
REDUCTIONS = {"mean", "amax", "max"}
PRODUCTS = {"linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum"}
SOFTMAX = {"softmax", "safe_softmax"}
# What gives the same values, if in another order or shape.
VIEWS = {
    *(
        "view",
        "unsafe_view",
        "reshape",
        "flatten",
        "unflatten",
        "transpose",
        "permute",
        "t",
        "expand",
        "squeeze",
    ),
    *(
        "unsqueeze",
        "clone",
        "contiguous",
        "to_copy",
        "detach",
        "alias",
        "dropout",
        "native_dropout",
        "movedim",
    ),
}
# What may lie between the products of an attention: scale, bias, mask, and maps from heads to heads.
BETWEEN = VIEWS | {"mul", "div", "add", "sub", "masked_fill", "where", "linear", "softmax", "safe_softmax"}


def dependent(graph: fx.Graph) -> set[fx.Node]:
    """The nodes whose values are, or hold, tensors that depend on the images."""
    images = next(iter(graph.nodes))
    found = {images}
    for node in graph.nodes:
        if called(node) not in {"", *FACTS} and not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def kinds(graph: fx.Graph) -> dict[fx.Node, str]:
    """The kind of each operation of a network that is a layer, in order.

    Convolutions, norms, activations, pooling (averages and maxima over positions too), linear maps (also
    products of which one factor depends on the images), additions of two values that depend on them, and
    attention: its products, softmax, scale and bias are one layer, where they come together.
    """
    image = dependent(graph)
    found = {_value(node): kind for node in graph.nodes if node in image and (kind := _kind(node, image))}
    outputs, inner = _attention(found, image)
    found |= dict.fromkeys(outputs, "attention")
    return {node: found[node] for node in graph.nodes if node in found and node not in inner}


def is_view(node: fx.Node) -> bool:
    """Whether an operation's output has the same values as its input."""
    return called(node) in VIEWS or (
        called(node) == "slice" and node.meta["sizes"] == node.args[0].meta["sizes"]
    )


def _value(node: fx.Node) -> fx.Node:
    """The tensor that an operation makes: of several the first."""
    return next((each for each in node.users if called(each) == "getitem" and each.args[1] == 0), node)


def _kind(node: fx.Node, image: Collection[fx.Node]) -> str | None:
    """The kind of an operation by itself, 'product' for one of two values that depend on the images."""
    call, reads = called(node), [each for each in node.all_input_nodes if each in image]
    if "attention" in call or "transformer" in call:
        return "attention"
    if call in PRODUCTS:
        return "product" if len(_factors(node, image)) > 1 else "linear"
    if call == "add":
        return "addition" if len(reads) > 1 else None
    if call in REDUCTIONS:
        return "pooling" if _over_positions(node) else None
    return CALLS.get(call)


def _factors(product: fx.Node, image: Collection[fx.Node]) -> list[fx.Node]:
    """The factors of a product that depend on the images; one that is both counts twice."""
    read: list[fx.Node] = []
    first = 1 if called(product) in ("addmm", "baddbmm") else 0
    fx.node.map_arg(product.args[first:], lambda each: read.append(each))
    return [each for each in read if each in image]


def _over_positions(node: fx.Node) -> bool:
    """Whether a mean or maximum is one over height and width or over tokens."""
    if node.args[0].meta["sizes"] is None or len(node.args) < 2:
        return False
    rank = len(node.args[0].meta["sizes"])
    over = node.args[1] if isinstance(node.args[1], list | tuple) else [node.args[1]]
    over = sorted(each % rank for each in over)
    kept = len(node.args) > 2 and node.args[2]
    if rank == 4:
        return over in ([1, 2], [2, 3])
    # The last of three may be positions or channels; a norm that is written out keeps it.
    return rank == 3 and (over == [1] or (over == [2] and not kept))


def _attention(found: dict[fx.Node, str], image: Collection[fx.Node]) -> tuple[list[fx.Node], set[fx.Node]]:
    """The operations in which attentions come together, and those that are part of one before that."""
    products = {node for node, kind in found.items() if kind == "product"}
    inner: set[fx.Node] = set()
    for node in [node for node in found if called(node) in SOFTMAX]:

        def passes(each: fx.Node, size: int = _size(node)) -> bool:
            return called(each) in BETWEEN and each in image and _size(each) == size

        after = _on_the_way(node, lambda each: each.users, passes, products)
        if after:
            inner |= {node} | (after - products)
            scores = {each for each in products if _size(each) == _size(node)}
            inner |= _on_the_way(node, lambda each: each.all_input_nodes, passes, scores)
    for node in products - inner:  # a product of the keys with the values first, then with the queries
        if _on_the_way(node, lambda each: each.users, lambda each: called(each) in VIEWS, products):
            inner.add(node)
    return [node for node in products if node not in inner], inner


def _on_the_way(
    start: fx.Node,
    step: Callable[[fx.Node], Iterable[fx.Node]],
    passes: Callable[[fx.Node], bool],
    goals: Collection[fx.Node],
) -> set[fx.Node]:
    """The nodes on the ways from a node to the first goals, with these, through nodes that may be passed."""
    leads: dict[fx.Node, bool] = {}

    def search(node: fx.Node) -> bool:
        if node not in leads:
            # All the ways, not only the first that leads there.
            beyond = [search(each) for each in step(node)] if passes(node) and node not in goals else []
            leads[node] = node in goals or any(beyond)
        return leads[node]

    for each in step(start):
        search(each)
    return {node for node, led in leads.items() if led}


def _size(node: fx.Node) -> int:
    """Numbers in a value for one image; 0 if it is no tensor."""
    return math.prod(node.meta["sizes"]) if node.meta["sizes"] is not None else 0
