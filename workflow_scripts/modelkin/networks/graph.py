"""What a network is made of: its layers, and the points at which it can be cut in two.

One graph of the operations of a forward pass answers both, however the network's code is written. It knows
nothing of where a network comes from or what it is used for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import fx, nn

from modelkin.errors import ModelkinError, nearest_names
from modelkin.networks import cutting
from modelkin.networks.exporting import attribute, called, exported, lost
from modelkin.networks.kinds import KINDS, is_view, kinds


@dataclass(frozen=True)
class Layer:
    """One operation's output in a forward pass; a module that is called twice makes two.

    Attributes
    ----------
    name : str
        The path of its module; where a module's code calls several operations, that path and what is called
        (``layer1.0.add``). ``:2`` marks the second of a name, and so on.
    kind : str
        One of :data:`~modelkin.networks.kinds.KINDS`; of a cut point that is no layer 'view', if it holds the
        values of an earlier one in another shape, or 'other'.
    shape : tuple of int
        Of its output for one image.
    index : int
        Its place among the layers, from 0; of a cut point that is none, that of the last layer before it.
    depth : float
        The same from 0, at the first layer, to 1, at the last.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    index: int
    depth: float


@dataclass(frozen=True)
class CutPoint(Layer):
    """An operation through whose output alone the images reach the logits.

    Attributes
    ----------
    block_end : bool
        Whether a block ends here: where branches come together, by addition or concatenation, or after the
        block's last activation if that follows at once; where nothing branches, after the activation that
        follows a convolution or linear map.
    before_activation : str or None
        The cut point before that last activation, None if there is no such activation.
    """

    block_end: bool = False
    before_activation: str | None = None


class Graph:
    """A network as a graph of operations.

    Parameters
    ----------
    network : nn.Module
        Takes normalised images (n, c, h, w) and returns logits (n, C). It is put in eval mode. Parameters and
        buffers are read when the graph is used, so it stays right when weights are loaded into the network or
        it is moved; after a change of its dtype or code make another graph.
    example : Tensor
        Images that it takes, (n, c, h, w); only their size, dtype and device matter.

    Attributes
    ----------
    layers : tuple of Layer
        Every convolution, norm, activation, pooling, linear map, attention and addition, in order.
    cut_points : tuple of CutPoint
        The operations through which everything passes, in order, without the logits. Those that are layers
        are among ``layers`` too.

    Raises
    ------
    ModelkinError
        If the network cannot be followed, with what is lost for it.

    Notes
    -----
    Made by ``torch.export``, in .3 seconds for a small network and 30 for one of thousands of operations.
    Without gradients torch runs ``nn.TransformerEncoderLayer`` and ``nn.MultiheadAttention`` by fused code,
    which rounds otherwise than the operations that the graph has for them; else logits agree to the last bit.
    """

    def __init__(self, network: nn.Module, example: torch.Tensor):
        self._network = network.eval()
        images = torch.randn(2, *example.shape[1:], generator=torch.Generator().manual_seed(0)).to(example)
        self._graph, self._constants = exported(network, images)
        self._images, self._logits = next(iter(self._graph.nodes)), self._graph.output_node().args[0]
        self._last_uses = _last_uses(self._graph)
        self._interleaved: set[fx.Node] = set()
        self._nodes = self._points()
        self.layers = tuple(point for point in self._nodes if point.kind in KINDS)
        self.cut_points = tuple(point for point in self._nodes if isinstance(point, CutPoint))
        self._check(images)

    @property
    def logits_layer(self) -> Layer | None:
        """The layer that makes the logits; None if no layer does, as for a product with a constant."""
        node = self._logits
        while is_view(node):
            node = node.args[0]
        return next((layer for layer in self.layers if self._nodes[layer] is node), None)

    def select(self, layers: str | Iterable[str] = "all") -> tuple[Layer, ...]:
        """Choose layers by what is said of them.

        Parameters
        ----------
        layers : str or iterable of str
            Any of 'all', 'cuts' (the cut points, but for views of earlier ones), kinds, names, and patterns
            of names (``layer1.*``). Names may also be those of cut points that are no layers.

        Returns
        -------
        tuple of Layer
            In the order of the forward pass, each once.

        Raises
        ------
        ModelkinError
            If one of them means no layer; it names the nearest.
        """
        chosen: set[Layer] = set()
        for item in [layers] if isinstance(layers, str) else layers:
            found = self._meant(item)
            if not found and item not in KINDS:
                valid = ["all", "cuts", *KINDS, *(point.name for point in self._nodes)]
                raise ModelkinError(
                    f"no layer of the network is meant by '{item}'; {nearest_names(item, valid)}"
                )
            chosen.update(found)
        return tuple(point for point in self._nodes if point in chosen)

    def _meant(self, item: str) -> list[Layer]:
        if item == "all":
            return list(self.layers)
        if item == "cuts":
            return [point for point in self.cut_points if point.kind != "view"]
        return [point for point in self._nodes if item == point.kind or fnmatchcase(point.name, item)]

    def observe(
        self,
        images: torch.Tensor,
        function: Callable[[Layer, torch.Tensor], object],
        layers: str | Iterable[str] = "all",
    ) -> torch.Tensor:
        """Run the network once and hand over each layer's output as it is made.

        Parameters
        ----------
        images : Tensor
            Normalised images (n, c, h, w), n as you like.
        function : callable
            Called with a layer and its output (n, *layer.shape), in order. Nothing else keeps the output
            longer than the pass needs it; it may be a view of another layer's, so it is not to be changed.
        layers : str or iterable of str
            As in :meth:`select`.

        Returns
        -------
        Tensor
            The logits (n, C), with gradients where they are enabled.
        """
        asked = {self._nodes[layer]: layer for layer in self.select(layers)}

        def hand_over(node: fx.Node, value: torch.Tensor) -> None:
            function(asked[node], _images_first(value, len(images), node, node in self._interleaved))

        return self._run(images, asked, hand_over)

    def front(self, cut: str | CutPoint) -> fx.GraphModule:
        """The network up to a cut point, as a module of its own.

        Parameters
        ----------
        cut : str or CutPoint
            One of ``cut_points``, or its name.

        Returns
        -------
        fx.GraphModule
            Images (n, c, h, w) -> the cut point's output (n, *shape), by the network's operations that lead
            there and no others. It has the network's parameters and buffers (the same tensors, under the same
            names) and always behaves as in eval mode. It can be moved as any module, but the network's
            parameters go with it; after the network itself has been moved, ask again.
        """
        return cutting.stretch(self._images, self._cut(cut), self._network, self._constants)

    def end(self, cut: str | CutPoint) -> fx.GraphModule:
        """The network from a cut point on: its output (n, *shape) -> logits (n, C); else as :meth:`front`."""
        return cutting.stretch(self._cut(cut), self._logits, self._network, self._constants)

    def between(self, start: str | CutPoint, stop: str | CutPoint) -> fx.GraphModule:
        """The network from one cut point to a later one: output of the first -> that of the second."""
        return cutting.stretch(self._cut(start), self._cut(stop), self._network, self._constants)

    def _cut(self, cut: str | CutPoint) -> fx.Node:
        name = cut if isinstance(cut, str) else cut.name
        for point in self.cut_points:
            if point.name == name:
                return self._nodes[point]
        names = [point.name for point in self.cut_points]
        hint = nearest_names(name, names)
        raise ModelkinError(f"the network cannot be cut at '{name}': not everything passes there; {hint}")

    def _run(
        self,
        images: torch.Tensor,
        asked: Collection[fx.Node],
        function: Callable[[fx.Node, torch.Tensor], None],
    ) -> torch.Tensor:
        """The logits; ``function`` is called with each value that is asked for, and none is kept."""
        values = {self._images: images}
        for node in self._graph.nodes:
            if node.op == "output":
                break
            if node is not self._images:
                values[node] = self._value(node, values)
            if node in asked:
                function(node, values[node])
            for used in self._last_uses[node]:
                del values[used]
        return values[self._logits]

    def _value(self, node: fx.Node, values: Mapping[fx.Node, object]) -> object:
        if node.op == "get_attr":
            return attribute(node.target, self._network, self._constants)
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        if node.op == "call_method":
            return getattr(args[0], node.target)(*args[1:])
        return node.target(*args, **kwargs)

    def _points(self) -> dict[Layer, fx.Node]:
        """Layers and cut points, in order."""
        layers = {node: kind for node, kind in kinds(self._graph).items() if node.meta["batch"] is not None}
        cuts = cutting.cuts(self._graph)
        ends = cutting.block_ends(self._graph, layers, cuts)
        names = _names(self._network, self._graph, layers, cuts)
        made: dict[Layer, fx.Node] = {}
        index = -1
        for node in names:
            index += node in layers
            about = {
                "name": names[node],
                "kind": layers.get(node, "view" if is_view(node) else "other"),
                "shape": _shape(node),
                "index": max(index, 0),
                "depth": max(index, 0) / max(1, len(layers) - 1),
            }
            if node in cuts:
                point = CutPoint(**about, block_end=node in ends, before_activation=names.get(ends.get(node)))
            else:
                point = Layer(**about)
            made[point] = node
        return made

    @torch.no_grad()
    def _check(self, images: torch.Tensor) -> None:
        """Compare the graph with the network, and find in which order batches hold the items of an image."""
        several = [self._nodes[layer] for layer in self.layers if _items(self._nodes[layer]) > 1]
        both, alone = {}, {}
        logits, wanted = self._run(images, several, both.__setitem__), self._network(images)
        scale = float(wanted.nan_to_num(0, 0, 0).abs().max())
        close = {"rtol": 1e-3, "atol": 1e-3 * scale}
        if not torch.allclose(logits, wanted, equal_nan=True, **close):
            raise lost("its operations one by one give other logits than it gives")
        if several:
            self._run(images[:1], several, alone.__setitem__)
        for node in several:
            off = [(_images_first(both[node], 2, node, how)[0] - alone[node]).norm() for how in (False, True)]
            if off[1] < off[0]:
                self._interleaved.add(node)


def _items(node: fx.Node) -> int:
    """How many items of the batch belong to one image."""
    return node.meta["sizes"][node.meta["batch"]]


def _shape(node: fx.Node) -> tuple[int, ...]:
    sizes, batch = node.meta["sizes"], node.meta["batch"]
    return sizes if sizes[batch] > 1 else sizes[:batch] + sizes[batch + 1 :]


def _images_first(value: torch.Tensor, number: int, node: fx.Node, interleaved: bool) -> torch.Tensor:
    """A value of so many images with the images along its first dimension.

    interleaved: whether the items of an image are ``number`` apart, not one after the other.
    """
    batch = node.meta["batch"]
    if _items(node) == 1:
        return value.movedim(batch, 0)
    if interleaved:
        return value.unflatten(batch, (-1, number)).movedim(batch + 1, 0)
    return value.unflatten(batch, (number, -1)).movedim(batch, 0)


def _names(
    network: nn.Module, graph: fx.Graph, layers: Mapping[fx.Node, str], cuts: Collection[fx.Node]
) -> dict[fx.Node, str]:
    """Names of layers and cut points, in order.

    A module without modules of its own whose code has one call that makes a layer (or no layer and one call)
    gives the layer its path.
    """
    calls: dict[str, set[str]] = {}
    for node in layers:
        calls.setdefault(node.meta["module"], set()).add(called(node))
    counts: Counter[str] = Counter()
    names: dict[fx.Node, str] = {}
    for node in (node for node in graph.nodes if node in layers or node in cuts):
        path = node.meta["module"]
        alone = path and not [*network.get_submodule(path).children()]
        own = "attention" if layers.get(node) == "attention" else called(node)
        if alone and calls.get(path, {called(node)}) == {called(node)}:
            name = path
        else:
            name = f"{path}.{own}".lstrip(".")
        counts[name] += 1
        names[node] = name if counts[name] == 1 else f"{name}:{counts[name]}"
    return names


def _last_uses(graph: fx.Graph) -> dict[fx.Node, list[fx.Node]]:
    """For each operation the values that nothing after it needs."""
    seen: set[fx.Node] = set()
    last = {}
    for node in reversed(graph.nodes):
        last[node] = [used for used in node.all_input_nodes if used not in seen]
        seen.update(node.all_input_nodes)
    return last
