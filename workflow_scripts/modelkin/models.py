"""Classifiers: one wrapper for all of them, and their form on disk.

A model takes images in [0, 1] and does its own normalisation. This module knows nothing of how a
model came to be or what it is used for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from modelkin import architectures, artifacts, computing, sources, tracing
from modelkin.errors import ModelkinError, unknown
from modelkin.images import Images
from modelkin.tracing import Reached, SplitPoint, heard

WEIGHTS, HISTORY = "weights.safetensors", "history.json"
RESIZING = ("nearest", "bilinear", "bicubic")


class Classifier(nn.Module):
    """Images (n, c, h, w) in [0, 1] -> logits (n, C), by any network that ends in a head.

    network: takes images that have been normalised. head: the name of its module whose input is the
    representation (see :func:`modelkin.tracing.find_head`). mean, std: per-channel normalisation in
    units of [0, 1]. size: the pixels of its images; others are scaled to it by ``resize``, a method
    of :data:`RESIZING`.
    """

    def __init__(
        self,
        network: nn.Module,
        head: str,
        mean: Sequence[float],
        std: Sequence[float],
        size: int,
        resize: str = "bilinear",
    ):
        super().__init__()
        self.network, self.head, self.size, self.resize = network, head, size, resize
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.prepared(images)
        with computing.autocast(images.device):
            logits = self.network(x)
        # What is no tensor is refused, by its type, when a model is taken in.
        return logits.to(images.dtype) if isinstance(logits, torch.Tensor) else logits

    def prepared(self, images: torch.Tensor) -> torch.Tensor:
        """The images as the network takes them: at its size, normalised."""
        return (resized(images, self.size, self.resize) - self.mean) / self.std

    def representation(self, images: torch.Tensor) -> torch.Tensor:
        """(n, p): the input of the head, flattened; what comes after is not computed."""
        with heard(self.network, [self.head], stop=True) as seen, contextlib.suppress(Reached):
            self(images)
        return seen[self.head].flatten(1).to(images.dtype)

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The representation (n, p) and the logits (n, C), by one forward pass."""
        with heard(self.network, [self.head]) as seen:
            logits = self(images)
        return seen[self.head].flatten(1).to(images.dtype), logits

    def folded(self) -> Classifier:
        """The same function, faster where batch norms can be folded (see :func:`modelkin.tracing.folded`)."""
        own = {name: getattr(self, name) for name in ("head", "size", "resize")}
        mean, std = (value.flatten().tolist() for value in (self.mean, self.std))
        example = torch.rand(self.blank(2).shape, generator=torch.Generator().manual_seed(0)).to(self.mean)
        network = tracing.folded(self.network, (example - self.mean) / self.std)
        return on(frozen(Classifier(network, mean=mean, std=std, **own)), self.mean.device)

    def split_points(self) -> list[SplitPoint]:
        """Where the network can be cut in two, in order (see :func:`modelkin.tracing.split_points`)."""
        return tracing.split_points(self.network, self.prepared(self.blank(1)))

    def blank(self, number: int) -> torch.Tensor:
        """So many black images (n, c, size, size)."""
        return self.mean.new_zeros(number, self.mean.shape[1], self.size, self.size)


def batch_rows(size: int, device: torch.device | str = "cpu") -> int:
    """How many images of that size to give a model at once: enough to be fast, few enough for memory."""
    # A GPU's batch may be too large: modelkin.computing.Fitting then finds one that is not.
    pixels = 2**25 if torch.device(device).type == "cuda" else 2**18
    return min(500, max(1, pixels // size**2))


def batches(
    model: Classifier, images: Images, device: torch.device | str = "cpu"
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images at the model's own size and their labels, as many at a time as memory allows."""
    for part in images.blocks(batch_rows(max(model.size, images.shape[-1]), device)):
        x = torch.from_numpy(part.floats()).to(device)
        yield resized(x, model.size, model.resize), torch.from_numpy(part.labels).to(device)


def resized(images: torch.Tensor, size: int, method: str = "bilinear") -> torch.Tensor:
    """Images (n, c, h, w) in [0, 1] at size x size pixels; themselves if they are. Differentiable.

    method: one of :data:`RESIZING`. Smoothed before shrinking, and kept within [0, 1].
    """
    if images.shape[-2:] == (size, size):
        return images
    smooth = method != "nearest"
    scaled = nn.functional.interpolate(
        images,
        size=(size, size),
        mode=method,
        align_corners=False if smooth else None,
        antialias=smooth,
    )
    # clamp alone would give pixels that are black or white, but for rounding, no gradient.
    kept = scaled.detach().clamp(0, 1)
    inside = (scaled.detach() - kept).abs() < 1e-5
    return torch.where(inside, scaled + (kept - scaled.detach()), kept)


def new(
    architecture: str, *, channels: int, size: int, classes: int, width: int, representation: int
) -> Classifier:
    """An untrained classifier; its weights come from torch's global generator."""
    shape = {"channels": channels, "size": size, "width": width, "representation": representation}
    features = architectures.build(architecture, **shape)
    network = nn.Sequential(features, nn.Linear(representation, classes))
    model = Classifier(network, "1", [0.0] * channels, [1.0] * channels, size)
    model.build = {"source": "train", "architecture": architecture, "classes": classes, **shape}
    return model


def from_source(
    source: str,
    images: Images,
    *,
    head: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    resize: str = "bilinear",
    **entry: Any,
) -> Classifier:
    """A model that was trained elsewhere, frozen, on the CPU, its head found and its behaviour checked.

    source: a module of :mod:`modelkin.sources`; entry: what it takes. images: of the dataset that the
    model is to be used on. head, mean, std and size go before what the source knows and what can be
    found; without either, images are not normalised and are taken at the dataset's size. resize: a method of
    :data:`RESIZING` for images of other sizes, or 'own' for the one that the source names.
    """
    found = sources.get(source).take(len(images.classes), **entry)
    channels, own = images.shape[0], found.interpolation
    mean, std = mean or found.mean or [0.0] * channels, std or found.std or [1.0] * channels
    if not len(mean) == len(std) == channels:
        raise ModelkinError(
            f"the model takes {len(mean)} channels (mean has {len(mean)} numbers, std {len(std)}), but the "
            f"dataset's images have {channels}; give the dataset `channels: {len(mean)}`."
        )
    size = size or found.size or images.shape[-1]
    resize = (own if own in RESIZING else "bilinear") if resize == "own" else resize
    model = frozen(Classifier(found.network, head or "", mean, std, size, resize))
    example = torch.from_numpy(images.floats(slice(0, 4)))
    logits = _tried(model, example)
    if head is None:
        model.head = tracing.find_head(model.network, model.prepared(example))
    elif head not in dict(model.network.named_modules()):
        raise unknown("module as head", head, [name for name, _ in model.network.named_modules() if name])
    model.build = {
        "source": source,
        "network": dict(found.build),
        "head": model.head,
        "mean": list(mean),
        "std": list(std),
        "size": size,
        "resize": resize,
        "classes": logits.shape[1],
    }
    model.origin = {"origin": found.origin, "interpolation": own, "crop": found.crop}
    return model


@torch.no_grad()
def _tried(model: Classifier, example: torch.Tensor) -> torch.Tensor:
    """The logits of an example; ModelkinError if the model does not take or does not give what it should."""
    try:
        logits = model(example)
        again, alone = model(example), [model(one[None]) for one in example]
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        shape = (example.shape[1], model.size, model.size)
        raise ModelkinError(
            f"the model does not take images of shape {shape} ({reason}); its `size` or the dataset's "
            "`channels` may be wrong."
        ) from None
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelkinError(f"the model returns {what}; it must return logits (images, classes).")
    close = {"rtol": 1e-3, "atol": 1e-3 * float(logits.abs().max().clamp_min(1e-6))}
    if not torch.allclose(logits, again, equal_nan=True, **close):
        raise ModelkinError(
            "the model gives other logits when asked again; it keeps dropout or other noise on in eval mode."
        )
    if not torch.allclose(logits, torch.cat(alone), equal_nan=True, **close):
        raise ModelkinError(
            "the model's logits of an image depend on the other images of its batch; it keeps a norm's batch "
            "statistics on in eval mode."
        )
    return logits


def _rebuilt(build: Mapping[str, Any]) -> Classifier:
    """A classifier of the same build, its weights yet to be loaded."""
    if build["source"] == "train":
        return new(**{key: value for key, value in build.items() if key != "source"})
    network = sources.get(build["source"]).network(**build["network"])
    model = Classifier(
        network, build["head"], *(build[key] for key in ("mean", "std", "size")), build["resize"]
    )
    model.build = dict(build)
    return model


def normalise_like(model: Classifier, images: Images) -> None:
    """Set the model's normalisation to the channel means and deviations of these images."""
    wide = images.floats().astype(np.float64)
    model.mean.copy_(torch.from_numpy(wide.mean((0, 2, 3))).view_as(model.mean))
    model.std.copy_(torch.from_numpy(wide.std((0, 2, 3))).clamp_min(1e-3).view_as(model.std))


def write(manifest: str | Path, model: Classifier, history: list[dict], **about) -> None:
    """Write a model's weights and training history; ``about`` as in :func:`modelkin.artifacts.write`."""

    def save(folder: Path) -> None:
        folder.mkdir()
        weights = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
        _save_weights(weights, folder / WEIGHTS)
        (folder / HISTORY).write_text(json.dumps(history, indent=1) + "\n")

    facts = {"build": model.build, **card(model), **about.pop("facts", {})}
    artifacts.write(manifest, save, suffix="", facts=facts, **about)


def _save_weights(weights: dict[str, torch.Tensor], path: Path) -> None:
    try:
        save_file(weights, path)
    except safetensors.SafetensorError as error:
        # The library tells the system's error in its text alone.
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def card(model: Classifier) -> dict[str, Any]:
    """What a frozen model is made of, found by looking: where it is from, how large it is, what it takes.

    multiply_adds: of one image at the model's own size. width: of the representation. weights: digest of the
    network's parameters and buffers alone, the same for the same weights under another name.
    """
    with torch.no_grad():
        width = model.representation(model.blank(1)).shape[1]
    build = model.build
    return {
        "source": build["source"],
        "origin": f"trained here: {build['architecture']}" if build["source"] == "train" else "",
        "interpolation": None,
        "crop": None,
        **getattr(model, "origin", {}),
        "weights": digest(model.network),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "multiply_adds": tracing.multiply_adds(model.network, model.prepared(model.blank(1))),
        "size": model.size,
        "mean": [round(value, 6) for value in model.mean.flatten().tolist()],
        "std": [round(value, 6) for value in model.std.flatten().tolist()],
        "head": model.head,
        "width": width,
        "split_points": [point._asdict() for point in model.split_points()],
    }


def digest(network: nn.Module) -> str:
    """sha256 of a network's weights: names, shapes and values, in the order of the names."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        total.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\n".encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def history(manifest: str | Path) -> list[dict]:
    """Epoch, loss and accuracies of a trained model, one row per epoch."""
    return json.loads((artifacts.store(manifest, "") / HISTORY).read_text())


def load_model(
    manifest: str | Path, device: torch.device | str = "cpu", resize: str | None = None
) -> Classifier:
    """The model of a manifest (``results/<study>/models/<model>.json``), frozen, in eval mode.

    resize: how images of other sizes are scaled to its own, if not as the manifest says. Raises
    ModelkinError if the weights are damaged, do not fit or hold NaN.
    """
    path = artifacts.store(manifest, "") / WEIGHTS
    model = _rebuilt(artifacts.read(manifest)["facts"]["build"])
    if resize not in (None, "own"):
        model.resize = resize
    try:
        weights = load_file(path)
        model.load_state_dict(weights)
    except (OSError, safetensors.SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelkinError(
            f"the weights {path} cannot be used ({reason}); delete {manifest} and run again."
        ) from None
    broken = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelkinError(f"the weights {path} hold NaN or infinite values, first in '{broken[0]}'.")
    artifacts.checked_store(manifest, "")  # numbers that changed are numbers still
    return on(frozen(model), device)


def on(model: Classifier, device: torch.device | str) -> Classifier:
    """The model moved to a device, its weights in the order that is fastest there."""
    fast = torch.device(device).type == "cuda"
    model.network.to(memory_format=torch.channels_last if fast else torch.preserve_format)
    return model.to(device)


def frozen(model: nn.Module) -> nn.Module:
    """The model in eval mode, its parameters without gradients."""
    return model.eval().requires_grad_(False)


@torch.no_grad()
def check_fits(model: nn.Module, images: Images, name: str) -> None:
    """ModelkinError unless the model gives one finite logit per class of these images."""
    device = next(model.parameters()).device
    logits = model(torch.from_numpy(images.floats(slice(0, 2))).to(device))
    if logits.ndim != 2 or logits.shape[1] != len(images.classes):
        raise ModelkinError(
            f"model '{name}' gives outputs of shape {tuple(logits.shape[1:])}, "
            f"but the dataset has {len(images.classes)} classes."
        )
    if not torch.isfinite(logits).all():
        raise ModelkinError(f"model '{name}' returns NaN or infinite logits.")
