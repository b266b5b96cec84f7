"""A network as the operations of its forward pass, free of how its code is written.

The result is an ``fx.Graph`` from ``images`` to the logits: functional (nothing is changed in place), for any
number of images, with parameters, buffers and constants as ``get_attr`` nodes. Each node's ``meta`` holds
``sizes``, its value's sizes for one image (None if it is no tensor), ``batch``, the dimension along which the
images lie in it (None if there is not exactly one), and ``module``, the path of the module in whose code it
stands.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Container, Mapping

import torch
from torch import fx, nn

from modelkin.errors import ModelkinError

BATCH_NORM = "native_batch_norm_legit_no_training"
# What is known of the images without their values.
FACTS = {"sym_size", "getattr"}


def exported(network: nn.Module, images: torch.Tensor) -> tuple[fx.Graph, dict[str, torch.Tensor]]:
    """Follow a network's forward pass and write down its operations.

    Parameters
    ----------
    network : nn.Module
        Takes normalised images (n, c, h, w) and returns logits (n, C); in eval mode.
    images : Tensor
        At least two images that it takes; their values do not matter.

    Returns
    -------
    graph : fx.Graph
        The operations that the logits need, in order.
    constants : dict of str to Tensor
        The tensors of the graph that are neither parameters nor buffers of the network, by name.

    Raises
    ------
    ModelkinError
        If the network cannot be followed: its code depends on the images' values or fixes their number, or it
        does what torch cannot write down.
    """
    program = _program(network, images)
    signature, nodes = program.graph_signature, {node.name: node for node in program.graph.nodes}
    (given,), (result, *others) = signature.user_inputs, signature.user_outputs
    if others or result not in nodes or not program.call_spec.out_spec.is_leaf():
        raise lost("it returns something else than logits")
    lifted = signature.inputs_to_lifted_tensor_constants
    constants = {name: program.constants[name] for name in lifted.values()}
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **lifted}
    return _written_down(nodes[given], nodes[result], names, constants), constants


def lost(reason: str) -> ModelkinError:
    """The error for a network that has no graph: what it cannot have, and what it can."""
    return ModelkinError(
        f"the network cannot be followed operation by operation ({reason}), so it cannot be compared layer "
        "by layer or stitched; what takes it as a whole (similarity, inversion, attacks, ...) still works."
    )


def _program(network: nn.Module, images: torch.Tensor) -> torch.export.ExportedProgram:
    """What torch makes of a network, for any number of images, nothing changed in place."""
    import torch.export  # takes two seconds, and is seldom needed

    reasons = []
    # First by running the code; if that asks for the number of images as a Python number (``len(x)``), by
    # interpreting it, which takes longer.
    for strict in (False, True):
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # of values that the network caches: they are not kept
                shapes = ({0: torch.export.Dim("images")},)
                program = torch.export.export(network, (images,), dynamic_shapes=shapes, strict=strict)
                return program.run_decompositions({})
        except Exception as error:  # whatever a user's code raises
            reasons.append(f"{type(error).__name__}: {str(error).strip()}".splitlines()[0].rstrip(":. "))
    raise lost(reasons[0])


def _written_down(
    images: fx.Node, result: fx.Node, names: Mapping[str, str], constants: Container[str]
) -> fx.Graph:
    """The operations that a result needs.

    names: of parameters, buffers and constants, by the name of the node that stands for each.
    """
    symbol = images.meta["val"].shape[0].node.expr
    made = fx.Graph()
    copies = {images: made.placeholder("images")}
    copies[images].meta.update(_described(images, symbol))
    number = made.call_function(torch.ops.aten.sym_size.int, (copies[images], 0))
    device = made.call_function(getattr, (copies[images], "device"))
    for node in needed(result, {images}):
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt) and value.node.expr == symbol:
            copies[node] = number
        elif node.op == "placeholder":
            copies[node] = made.create_node("get_attr", names[node.name], name=node.name)
            if names[node.name] in constants:
                copies[node] = made.call_method("to", (copies[node], device))
        elif node.op == "call_function" and not isinstance(node.target, torch._ops.HigherOrderOperator):
            copies[node] = _copied(made, node, copies, device)
        else:
            raise lost(f"its code has a {node.target} of its own")
        copies[node].meta.update(_described(node, symbol))
    made.output(copies[result])
    made.eliminate_dead_code()
    return made


def _copied(made: fx.Graph, node: fx.Node, copies: Mapping[fx.Node, fx.Node], device: fx.Node) -> fx.Node:
    """The same operation in another graph, as the network itself calls it, for images on any device."""
    if called(node) == "getitem" and called(node.args[0]) == BATCH_NORM:
        return copies[node.args[0]]
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), copies.__getitem__)
    target = node.target
    if kwargs.get("device") is not None:
        kwargs = {**kwargs, "device": device}
    if called(node) == BATCH_NORM:  # the network's own call may choose cuDNN's
        *most, momentum, epsilon = args
        target, args = torch.ops.aten.batch_norm.default, (*most, False, momentum, epsilon, True)
    elif called(node) == "view":  # the order in memory may be another one than it was here
        target = torch.ops.aten.reshape.default
    return made.create_node("call_function", target, args, kwargs, name=node.name)


def needed(result: fx.Node, given: Container[fx.Node]) -> list[fx.Node]:
    """The nodes that a result needs beside those that are given, itself included, in order."""
    found: set[fx.Node] = set()
    waiting = [result]
    while waiting:
        node = waiting.pop()
        if node not in found and node not in given:
            found.add(node)
            waiting += [] if called(node) in FACTS else node.all_input_nodes
    return [node for node in result.graph.nodes if node in found]


def called(node: fx.Node) -> str:
    """What a node calls, without namespace, overload and leading underscores; '' if it calls nothing."""
    if node.op != "call_function":
        return ""
    return (getattr(node.target, "_opname", None) or node.target.__name__).strip("_")


def attribute(name: str, network: nn.Module, constants: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The tensor that a ``get_attr`` node of that name stands for."""
    return constants[name] if name in constants else operator.attrgetter(name)(network)


def _described(node: fx.Node, number) -> dict:
    """A node's ``meta`` (see the module), ``number`` being the symbol for the number of images."""
    value = node.meta.get("val")
    sizes = batch = None
    if isinstance(value, torch.Tensor):
        symbolic = [at for at, size in enumerate(value.shape) if isinstance(size, torch.SymInt)]
        sizes = tuple(
            int(size.node.expr.subs({number: 1})) if at in symbolic else size
            for at, size in enumerate(value.shape)
        )
        # A multiple of the number of images, where positions are further items of a batch.
        if len(symbolic) == 1 and value.shape[symbolic[0]].node.expr == sizes[symbolic[0]] * number:
            batch = symbolic[0]
    stack = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())
    return {"sizes": sizes, "batch": batch, "module": stack[-1][0]}
