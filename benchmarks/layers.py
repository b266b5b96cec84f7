"""Layer maps against the passes and products that they cannot do without, peers, and a limit of memory.

The peers are pytorch-cka (imported as cka) and torch_cka; rows of those that are not installed are left out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import multiprocessing
import resource
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torchvision
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.base import Row, in_turn
from modelkin.data.images import Images
from modelkin.layers import estimates, grams
from modelkin.layers.batches import all_at_once
from modelkin.layers.maps import Comparison, Map
from modelkin.layers.views import LayeredModel, View
from modelkin.networks.building import new_model
from modelkin.networks.classifier import Classifier, frozen

BATCH, SIZE, MODELS = 256, 32, 10
KINDS = ("convolution", "norm", "activation", "linear")
GIGABYTES = 4.0  # that all layers of a ResNet-50 may take beside the model


def rows() -> Iterator[Row]:
    images = pictures(BATCH, SIZE)
    pair = [network("wide_residual", 16, seed) for seed in (0, 1)]
    yield from compared("two WRN-28-1, their three maps", pair, images)
    many = [network("vgg", 16, seed) for seed in range(MODELS)]
    yield from compared(f"{MODELS} small VGGs, their {MODELS * (MODELS + 1) // 2} maps", many, images)
    yield memory()


def pictures(number: int, size: int) -> Images:
    """Sixteen squares of one colour each; noise would look all the same to a network."""
    coarse = np.random.default_rng(0).random((number, 3, 4, 4), dtype=np.float32)
    pixels = coarse.repeat(size // 4, 2).repeat(size // 4, 3)
    return Images(pixels, np.zeros(number, int), np.arange(number).astype(str), ["a", "b"])


def network(architecture: str, width: int, seed: int) -> Classifier:
    torch.manual_seed(seed)
    shape = {"channels": 3, "size": SIZE, "classes": 10, "width": width, "representation": 4 * width}
    return frozen(new_model(architecture, **shape))


def compared(what: str, models: list[Classifier], images: Images) -> Iterator[Row]:
    """All maps of some models, against their parts alone and against peers."""
    layered = [LayeredModel(model, KINDS) for model in models]
    views = [View(each, images) for each in layered]
    maps = [Map(a, b) for a, b in itertools.combinations_with_replacement(views, 2)]
    comparison, (batch,) = Comparison(maps), all_at_once(len(images))
    pixels = torch.from_numpy(images.floats())
    outputs = [_outputs(each, pixels) for each in layered]

    def ours() -> object:
        return comparison.batch(batch)

    def alone() -> None:
        with torch.no_grad():
            for model, features in zip(models, outputs, strict=True):
                model(pixels)
                for rows_ in features:
                    grams._add_upper_half(rows_.new_zeros(len(rows_), len(rows_)), rows_)

    taken, least = in_turn(ours, alone, repeats=3)
    found = estimates.estimate(comparison.batch(batch), exact=False)["value"]
    off = max(abs(float(found[1, k, k]) - _exact(outputs[0][k], outputs[1][k])) for k in (0, 3, -2))
    yield Row(
        f"layer maps: {what}",
        "forward passes and symmetric Gram products alone",
        taken / least,
        1.2,
        "x the time",
        f"within {off:.0e} of float64",
    )
    number = found.sizes["layer_a"]
    for name, call in PEERS.items():
        if importlib.util.find_spec(name) is None or (name == "torch_cka" and len(models) > 2):
            continue  # that one takes minutes for a pair
        values = []
        peer, _ = in_turn(lambda call=call, kept=values: kept.append(call(models, pixels, layered)), ours, 1)
        # Without the logits, of which peers keep each image's mean; and they hide what is below 0.
        apart = np.abs(np.asarray(values[-1])[1] - found[1].to_numpy().clip(0))[:-1, :-1].max()
        target = {"cka": 10 if len(models) > 2 else 2, "torch_cka": 7}[name]
        checked = f"{number} layers of each; values at most {apart:.0e} apart"
        yield Row(f"layer maps: {what}", name, peer / taken, target, checked=checked)


def _outputs(model: LayeredModel, pixels: torch.Tensor) -> list[torch.Tensor]:
    """What each layer puts out, less its mean; logits less each image's mean too."""
    found = []
    with torch.no_grad():
        model._graph.observe(
            model.model.prepared(pixels), lambda layer, value: found.append(grams.rows_of(value)), KINDS
        )
    found[-1] = found[-1] - found[-1].mean(1, keepdim=True)
    return [rows_ - rows_.mean(0) for rows_ in found]


def _exact(x: torch.Tensor, y: torch.Tensor) -> float:
    """Debiased CKA in float64, written out."""
    n = len(x)
    k, l = ((v.double() @ v.double().T).fill_diagonal_(0) for v in (x, y))  # noqa: E741

    def hsic(k: torch.Tensor, l: torch.Tensor) -> torch.Tensor:  # noqa: E741
        sums = k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * k.sum(0) @ l.sum(0)
        return (k * l).sum() + sums

    return float(hsic(k, l) / (hsic(k, k) * hsic(l, l)).sqrt())


def _pairs(compare: Callable[[Classifier, Classifier], object]) -> Callable:
    """All pairs of models by a peer that compares two; the names of our layers are those of modules."""

    def call(models: list[Classifier], pixels: torch.Tensor, layered: list[LayeredModel]) -> list:
        names = [layer.name for layer in layered[0].layers]
        loader = DataLoader(TensorDataset(pixels, torch.zeros(len(pixels))), batch_size=len(pixels))
        pairs = itertools.combinations_with_replacement(models, 2)
        quiet = contextlib.redirect_stderr(io.StringIO())
        with warnings.catch_warnings(), quiet, torch.no_grad():
            warnings.simplefilter("ignore")
            return [compare(a.network, b.network, loader, names) for a, b in pairs]

    return call


def _pytorch_cka(a, b, loader, names):
    import cka

    return cka.compute_cka(a, b, loader, layers=names, device="cpu", progress=False)[0].numpy()


def _torch_cka(a, b, loader, names):
    import torch_cka

    hooks = [dict(module._forward_hooks) for net in (a, b) for module in net.modules()]
    peer = torch_cka.CKA(a, b, model1_layers=names, model2_layers=names, device="cpu")
    peer.compare(loader)
    for module, kept in zip((m for net in (a, b) for m in net.modules()), hooks, strict=True):
        module._forward_hooks.clear()  # it leaves its own there
        module._forward_hooks.update(kept)
    return peer.export()["CKA"].numpy()


PEERS = {"cka": _pairs(_pytorch_cka), "torch_cka": _pairs(_torch_cka)}


def memory() -> Row:
    """What all layers of a ResNet-50 at 224 pixels take beside the model, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        found = pool.apply(_peak)
    return Row(
        f"layer maps: all layers of a ResNet-50, 224 pixels, batch {BATCH}",
        "the process before, its model loaded",
        found,
        GIGABYTES,
        "GB",
    )


def _peak() -> float:
    torch.manual_seed(0)
    net = torchvision.models.resnet50()
    model = frozen(Classifier(net, "fc", [0.0] * 3, [1.0] * 3, 224))
    view = View(LayeredModel(model), pictures(BATCH, 224))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Comparison([Map(view, view)]).batch(all_at_once(BATCH)[0])
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e9
