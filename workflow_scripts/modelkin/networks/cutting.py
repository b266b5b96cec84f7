"""Where a network can be cut in two, and what lies between two cuts as a module of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import fx, nn

from modelkin.networks.exporting import FACTS, attribute, called, needed
from modelkin.networks.kinds import dependent


def cuts(graph: fx.Graph) -> list[fx.Node]:
    """The operations through whose output alone the images reach the logits, in order.

    Without the logits' own, and only those whose output has the images along its first dimension.
    """
    image = dependent(graph)
    order = [node for node in graph.nodes if node in image]
    at = {node: number for number, node in enumerate(order)}
    reach, found = 0, []
    for number, node in enumerate(order[:-1]):
        # In a topological order nothing passes beside a node if no edge leads past it.
        if reach <= number and node.meta["batch"] == 0 and node.meta["sizes"][0] == 1:
            found.append(node)
        reach = max([reach, *(at[user] for user in node.users if user in at)])
    return found[1:]


def block_ends(
    graph: fx.Graph, layers: Mapping[fx.Node, str], cuts: Collection[fx.Node]
) -> dict[fx.Node, fx.Node | None]:
    """The cuts at which blocks end, each with the cut before the activation that ends the block, if one does.

    A block ends where branches come together, or after the activation that follows at once in the code of the
    same module; where nothing branches, after the activation that follows a convolution or linear map.
    layers: the kinds of those operations that are layers.
    """
    image = dependent(graph)
    ends: dict[fx.Node, fx.Node | None] = {}
    learned = False
    for node in graph.nodes:
        learned |= layers.get(node) in ("convolution", "linear")
        if node not in cuts:
            continue
        if len([each for each in node.all_input_nodes if each in image]) > 1 and called(node) in (
            "add",
            "cat",
        ):
            (after, *others) = node.users
            last = not others and after in cuts and layers.get(after) == "activation" and _within(after, node)
            ends |= {after: node} if last else {node: None}
        elif layers.get(node) == "activation" and learned and node not in ends:
            ends[node] = node.args[0] if node.args[0] in cuts else None
        learned &= node not in ends
    return ends


def _within(node: fx.Node, other: fx.Node) -> bool:
    """Whether an operation stands in the code of the same module as another one, or of a module of that."""
    return f"{node.meta['module']}.".startswith(f"{other.meta['module']}." if other.meta["module"] else "")


def stretch(
    start: fx.Node, stop: fx.Node, network: nn.Module, constants: Mapping[str, torch.Tensor]
) -> fx.GraphModule:
    """The operations that lead from one value to another, and no others, as a module.

    Parameters
    ----------
    start, stop : fx.Node
        Of the network's graph. ``stop`` depends on the images through ``start`` alone, along whose first
        dimension they lie.
    network : nn.Module
        Its parameters and buffers are the module's, under the same names.
    constants : mapping of str to Tensor
        Those of the graph (see :func:`modelkin.networks.exporting.exported`).
    """
    made = fx.Graph()
    given = made.placeholder("x")
    copies, names = {start: given}, set()
    for node in needed(stop, {start}):
        if called(node) in FACTS:
            args, kwargs = (given, *node.args[1:]), {}
        else:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), copies.__getitem__)
        if node.op == "get_attr":
            names.add(node.target)
        copies[node] = made.create_node(node.op, node.target, args, kwargs, name=node.name)
    made.output(copies[stop])
    return fx.GraphModule({name: attribute(name, network, constants) for name in names}, made).eval()
