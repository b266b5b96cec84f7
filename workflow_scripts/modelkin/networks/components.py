"""The components of an architecture, read off its network.

One forward pass is followed operation by operation, so that it does not matter how a network's code is
written or what its layers are called. It knows nothing of where a network comes from or of other models.

It does not ask :class:`modelkin.networks.graph.Graph`, because cards are made of every network, also of one
that has no graph, and in hundredths of a second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from modelkin.networks.component_names import COMPONENTS

NORMALISATIONS = {
    "native_batch_norm": "batch",
    "native_batch_norm_legit_no_training": "batch",
    "cudnn_batch_norm": "batch",
    "miopen_batch_norm": "batch",
    "native_layer_norm": "layer",
    "native_group_norm": "group",
    "fused_rms_norm": "RMS",
}
ACTIVATIONS = {
    "relu": "ReLU",
    "hardtanh": "ReLU6",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "hardswish": "hard swish",
    "tanh": "tanh",
}
AVERAGES = {"mean", "avg_pool2d", "adaptive_avg_pool2d"}
MAXIMA = {"amax", "max", "max_pool2d", "max_pool2d_with_indices", "cudnn_max_pool", "adaptive_max_pool2d"}
POOLING = dict.fromkeys(AVERAGES - {"mean"}, "average") | dict.fromkeys(MAXIMA - {"amax", "max"}, "max")
PRODUCTS = {"addmm", "mm", "bmm", "baddbmm", "linear"}
# What a value passes without becoming another one.
VIEWS = {
    *("view", "unsafe_view", "reshape_alias", "transpose", "permute", "t", "expand", "squeeze", "unsqueeze"),
    *("clone", "copy", "to_copy", "contiguous", "detach", "alias", "native_dropout", "constant_pad_nd"),
}
FALLS = 3.5  # times fewer positions at the end: a height and a width that are halved at least once


class Operation(NamedTuple):
    """One operation on what depends on the image.

    reads, makes: numbers of the values that it takes (those that depend on the image) and gives. shapes: of
    what it takes; made: of the first that it gives. weight: shape of its first other tensor, () without one;
    learned: whether that is none of the network's buffers. stride: of a convolution, else ().
    """

    name: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    made: tuple[int, ...]
    weight: tuple[int, ...]
    learned: bool
    stride: tuple[int, ...]

    @property
    def given(self) -> tuple[int, ...]:
        return self.shapes[0]

    @property
    def kernel(self) -> int:
        """Side of a two-dimensional convolution's kernel, the longer one; 0 for other operations."""
        return max(self.weight[2:]) if self.name == "convolution" and len(self.weight) == 4 else 0

    @property
    def depthwise(self) -> bool:
        return self.kernel > 0 and self.weight[1] == 1 and self.given[1] > 1

    @property
    def groups(self) -> int:
        return self.given[1] // self.weight[1] if self.name == "convolution" else 1

    @property
    def positions(self) -> int:
        """Places at which a convolution, pooling or norm gives channels; 0 for other operations."""
        if self.name == "native_layer_norm":
            return math.prod(self.made) // max(1, math.prod(self.weight))
        known = self.name == "convolution" or self.name in POOLING or self.name in NORMALISATIONS
        return math.prod(self.made[2:]) if known else 0


class _Following(TorchDispatchMode):
    """Collects the operations that depend on one image."""

    def __init__(self, network: nn.Module, image: torch.Tensor):
        super().__init__()
        self.operations: list[Operation] = []
        self._numbers = WeakTensorKeyDictionary()
        self._numbers[image] = 0
        self._next = 1
        self._buffers = {buffer.data_ptr() for buffer in network.buffers()}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        known = [each for each in tensors if each in self._numbers]
        reads = tuple(self._numbers[each] for each in known)
        shapes = tuple(tuple(each.shape) for each in known)
        made = func(*args, **kwargs)
        results = [each for each in tree_leaves(made) if isinstance(each, torch.Tensor)]
        if not reads or not results:
            return made
        other = next((each for each in tensors if each not in self._numbers), None)
        for result in results:
            # What is changed in place is another value from here on.
            self._numbers[result] = self._next
            self._next += 1
        name = func.overloadpacket.__name__.strip("_")
        self.operations.append(
            Operation(
                name,
                reads,
                tuple(self._numbers[each] for each in results),
                shapes,
                tuple(results[0].shape),
                () if other is None else tuple(other.shape),
                other is None or other.data_ptr() not in self._buffers,
                tuple(args[3]) if name == "convolution" else (),
            )
        )
        return made


@torch.no_grad()
def followed_operations(network: nn.Module, image: torch.Tensor) -> list[Operation]:
    """The operations of one forward pass on one normalised image (1, c, h, w), in order, in eval mode."""
    network.eval()
    with _Following(network, image) as following:
        network(image)
    return following.operations


def read_components(network: nn.Module, image: torch.Tensor) -> dict[str, str]:
    """The component of each kind in ``COMPONENTS`` of a network, as words.

    image: normalised, (1, c, h, w), of the size that the network takes. What the forward pass cannot tell
    (that an architecture was found by a search, say) is not among them.
    """
    done = followed_operations(network, image)
    stem = _stem(done)
    convolutions = [each for each in done if each.name == "convolution"]
    spatial = [each for each in convolutions if each.kernel > 1 and each.learned]
    attention = _self_attentions(done)
    gates = _gates(done)
    depthwise = [each for each in spatial if each.depthwise]
    grouped = [each for each in convolutions if each.groups > 1 and each.weight[1] > 1]
    found = (
        _family(spatial, stem, attention, tokens=_positions_are_rows(done)),
        "yes" if _falls(done, stem) else "no",
        _described(stem),
        next((POOLING[each.name] for each in stem if each.name in POOLING), "none"),
        str(image.shape[-1]),
        _named(done, NORMALISATIONS),
        _named(done, ACTIVATIONS),
        "yes" if attention else "no",
        "yes" if gates else "no",
        _place(done, gates),
        "yes" if depthwise else "no",
        "yes" if grouped else "no",
        _final_pooling(done),
    )
    return dict(zip(COMPONENTS, found, strict=True))


def _family(spatial: list[Operation], stem: list[Operation], attentions: int, *, tokens: bool) -> str:
    """spatial: the convolutions over several positions. tokens: of :func:`_positions_are_rows`.

    Convolutions beyond the stem make a CNN, and so do those of a stem that overlap, unless linear maps do the
    rest at each position. A transformer may have some beyond its stem that encode positions (depthwise) or
    merge them (kernel and stride the same); more others than attentions make a CNN.
    """
    beyond = [each for each in spatial if each not in stem]
    if not attentions:
        overlapping = [each for each in spatial if each.kernel > max(each.stride)]
        return "CNN" if beyond or (overlapping and not tokens) else "MLP"
    mixing = [each for each in beyond if not each.depthwise and each.kernel > max(each.stride)]
    return "CNN with attention" if len(mixing) > attentions else "Transformer"


def _positions_are_rows(done: list[Operation]) -> bool:
    """Whether a linear map is applied at several positions of one image, as in transformers and mixers."""
    return any(each.name in PRODUCTS and math.prod(each.given[:-1]) > 1 for each in done)


def _named(done: Iterable[Operation], names: dict[str, str]) -> str:
    found = {names[each.name] for each in done if each.name in names}
    return " + ".join(sorted(found)) or "none"


def _readers(done: Iterable[Operation]) -> dict[int, list[Operation]]:
    """The operations that take each value."""
    readers: dict[int, list[Operation]] = {}
    for each in done:
        for value in set(each.reads):
            readers.setdefault(value, []).append(each)
    return readers


def _along(done: Iterable[Operation], value: int) -> Iterator[Operation]:
    """The operations one after the other from a value on, as far as each result has a single reader."""
    readers = _readers(done)
    while len(following := readers.get(value, [])) == 1:
        yield following[0]
        value = following[0].makes[0]


def _stem(done: list[Operation]) -> list[Operation]:
    """The dense convolutions, or the linear map, that come first, and pooling that follows them.

    Where they are all the convolutions of a network that has nothing else to see several positions with, they
    are its body, and its stem is the first of them.
    """
    stem: list[Operation] = []
    for each in _along(done, 0):
        linear = each.name in PRODUCTS and not stem
        dense = each.name == "convolution" and each.groups == 1 and (each.kernel > 1 or not stem)
        if linear or dense or each.name in POOLING:
            stem.append(each)
        elif each.name == "convolution" or each.name in PRODUCTS:
            break
        if linear or each.name in POOLING:
            break
    convolutions = [each for each in stem if each.kernel]
    others = any(each.kernel > 1 and each.learned and each not in stem for each in done)
    if len(convolutions) > 1 and not others and not _positions_are_rows(done):
        return convolutions[:1]
    # An image that several branches take: the first of them stands for all.
    return stem or [each for each in done if each.name == "convolution" or each.name in PRODUCTS][:1]


def _described(stem: list[Operation]) -> str:
    convolutions = [each for each in stem if each.name == "convolution"]
    if not convolutions:
        return "linear" if any(each.name in PRODUCTS for each in stem) else "none"
    sides = [f"{each.kernel}x{each.kernel}" for each in convolutions]
    if len(sides) > 1:
        return f"stack of {' and '.join(dict.fromkeys(sides))} convolutions"
    return f"{sides[0]} convolution, stride {max(convolutions[0].stride)}"


def _falls(done: list[Operation], stem: list[Operation]) -> bool:
    """Whether there are fewer positions at the end than after the stem."""
    after = done.index(stem[-1]) if stem else 0
    sizes = [each.positions for each in done[after:] if each.positions > 1]
    return bool(sizes) and sizes[0] >= FALLS * sizes[-1]


def _self_attentions(done: list[Operation]) -> int:
    """Number of products of a softmax with values at several positions, written out or as one operation."""
    readers = _readers(done)
    count = 0
    for each in done:
        if "attention" in each.name or "transformer" in each.name:
            count += 1
        elif each.name in ("softmax", "safe_softmax"):
            following = _past_views(readers, each.makes[0])
            count += any(
                reader.name in ("bmm", "baddbmm") and 1 not in reader.made[1:] for reader in following
            )
    return count


def _past_views(readers: dict[int, list[Operation]], value: int) -> list[Operation]:
    found = []
    for reader in readers.get(value, []):
        found += _past_views(readers, reader.makes[0]) if reader.name in VIEWS else [reader]
    return found


def _gates(done: list[Operation]) -> list[Operation]:
    """The operations that weight or shift whole channels by what was read off all positions."""
    made_by = {value: each for each in done for value in each.makes}

    def positions(value: int, shape: tuple[int, ...]) -> int:
        maker = made_by.get(value)
        if maker is not None and maker.name == "expand":
            shape = maker.given
        return math.prod(shape[-2:])

    return [
        each
        for each in done
        if each.name in ("mul", "add")
        and len(each.shapes) == 2
        and len(each.shapes[0]) == len(each.shapes[1]) >= 4
        and {positions(*read) == 1 for read in zip(each.reads, each.shapes, strict=True)} == {True, False}
    ]


def _place(done: list[Operation], gates: list[Operation]) -> str:
    """Where in their blocks most of the gates are: before a further convolution, or at the end."""
    if not gates:
        return "none"
    readers = _readers(done)
    places = Counter(
        "middle of blocks" if _convolved(readers, gate.makes[0]) else "end of blocks" for gate in gates
    )
    return places.most_common(1)[0][0]


def _convolved(readers: dict[int, list[Operation]], value: int) -> bool:
    """Whether every path from a value meets a convolution before values are added."""
    following = _past_views(readers, value)
    if len(following) != 1:
        return False
    (each,) = following
    if each.name == "convolution":
        return True
    alone = len(each.reads) == 1
    return alone and _convolved(readers, each.makes[0])


def _final_pooling(done: list[Operation]) -> str:
    """How positions become one representation, followed back from the logits."""
    made_by = {value: each for each in done for value in each.makes}
    value = done[-1].makes[0]
    while value in made_by:
        each = made_by[value]
        shrunk = each.given[:1] == each.made[:1] and math.prod(each.given) > math.prod(each.made)
        if each.name in AVERAGES and shrunk:
            return "average"
        if each.name in MAXIMA and shrunk:
            return "max"
        if each.name in ("select", "slice", "index") and shrunk:
            return "class token"
        if "attention" in each.name or each.name in ("bmm", "baddbmm"):
            return "attention"
        if each.name in VIEWS and _flattens(each):
            return "flatten"
        if each.kernel > 1:
            return "flatten" if math.prod(each.made[2:]) == 1 else "none"
        value = each.reads[0]
    return "none"


def _flattens(view: Operation) -> bool:
    several = [side for side in view.given[1:] if side > 1]
    return len(view.made) == 2 and view.made[0] == view.given[0] and len(several) > 1
