"""Classifiers: one wrapper for all of them, and their form on disk.

A model takes images in [0, 1] and does its own normalisation. This module knows nothing of how a
model came to be or what it is used for.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from modelkin import architectures, artifacts, checkpoints
from modelkin.errors import ModelkinError, unknown
from modelkin.images import Images

WEIGHTS, HISTORY = "weights.safetensors", "history.json"


class Classifier(nn.Module):
    """Images (n, c, h, w) in [0, 1] -> logits (n, C), by any network that ends in a head.

    network: takes images that have been normalised. head: the name of its module whose input is the
    representation (see :func:`find_head`). mean, std: per-channel normalisation in units of [0, 1].
    """

    def __init__(self, network: nn.Module, head: str, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.network, self.head = network, head
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network((images - self.mean) / self.std)

    def representation(self, images: torch.Tensor) -> torch.Tensor:
        """(n, p): the input of the head, flattened; what comes after is not computed."""
        with heard(self.network, [self.head], stop=True) as seen, contextlib.suppress(_Reached):
            self(images)
        return seen[self.head].flatten(1)

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The representation (n, p) and the logits (n, C), by one forward pass."""
        with heard(self.network, [self.head]) as seen:
            logits = self(images)
        return seen[self.head].flatten(1), logits


class _Reached(Exception):
    """The forward pass has come to where it was to stop."""


@contextlib.contextmanager
def heard(network: nn.Module, names: Iterable[str], stop: bool = False) -> Iterator[dict[str, torch.Tensor]]:
    """While it is open, the first input of each module of these names is kept, in order of the calls.

    stop: the forward pass ends at the first of them.
    """
    seen: dict[str, torch.Tensor] = {}

    def listen(name: str):
        def hook(module: nn.Module, inputs: tuple) -> None:
            seen.setdefault(name, inputs[0])
            if stop:
                raise _Reached

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
        if _follows(network, name, seen[name], example, logits):
            return name
    raise ModelkinError(
        "no linear layer or 1 x 1 convolution makes the logits; name the layer whose input is the "
        "representation as `head`."
    )


def _is_affine(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1))


def _follows(network: nn.Module, name: str, given: torch.Tensor, example, logits) -> bool:
    """Whether the logits depend on the images through this module's input alone."""
    handle = network.get_submodule(name).register_forward_pre_hook(lambda module, inputs: (given,))
    try:
        return torch.allclose(network(torch.zeros_like(example)), logits, atol=1e-4, rtol=1e-4)
    finally:
        handle.remove()


def new(
    architecture: str, *, channels: int, size: int, classes: int, width: int, representation: int
) -> Classifier:
    """An untrained classifier; its weights come from torch's global generator."""
    shape = {"channels": channels, "size": size, "width": width, "representation": representation}
    features = architectures.build(architecture, **shape)
    network = nn.Sequential(features, nn.Linear(representation, classes))
    model = Classifier(network, "1", [0.0] * channels, [1.0] * channels)
    model.build = {"source": "train", "architecture": architecture, "classes": classes, **shape}
    return model


def from_checkpoint(
    weights: str | Path,
    architecture: str,
    example: torch.Tensor,
    *,
    head: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    sha256: str | None = None,
    trust_pickle: bool = False,
) -> Classifier:
    """A classifier from a checkpoint, frozen, on the CPU.

    architecture: 'path/to/file.py:callable' (see :func:`modelkin.architectures.custom`). example:
    images (n, c, h, w) in [0, 1] as the model will be given, from which the head is found unless it
    is named. mean, std: per-channel normalisation, default none.
    """
    network = architectures.custom(architecture)
    checkpoints.fit(network, checkpoints.read(weights, sha256=sha256, trust_pickle=trust_pickle), weights)
    channels = example.shape[1]
    mean, std = mean or [0.0] * channels, std or [1.0] * channels
    if not len(mean) == len(std) == channels:
        raise ModelkinError(
            f"mean has {len(mean)} and std {len(std)} numbers, but the images have {channels} channels."
        )
    model = frozen(Classifier(network, head or "", mean, std))
    logits = _tried(model, example)
    if head is None:
        model.head = find_head(network, (example - model.mean) / model.std)
    elif head not in dict(network.named_modules()):
        raise unknown("module as head", head, [name for name, _ in network.named_modules() if name])
    model.build = {
        "source": "file",
        "architecture": architecture,
        "head": model.head,
        "mean": list(mean),
        "std": list(std),
        "classes": logits.shape[1],
    }
    return model


@torch.no_grad()
def _tried(model: Classifier, example: torch.Tensor) -> torch.Tensor:
    """The logits of an example; ModelkinError if the model does not take or does not give what it should."""
    try:
        logits = model(example)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        shape = tuple(example.shape[1:])
        raise ModelkinError(f"the model does not take images of shape {shape} ({reason}).") from None
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        what = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelkinError(f"the model returns {what}; it must return logits (images, classes).")
    return logits


def _rebuilt(build: Mapping[str, Any]) -> Classifier:
    """A classifier of the same build, its weights yet to be loaded."""
    build = dict(build)
    if build.pop("source") == "train":
        return new(**build)
    network = architectures.custom(build["architecture"])
    model = Classifier(network, build["head"], build["mean"], build["std"])
    model.build = {"source": "file", **build}
    return model


def normalise_like(model: Classifier, pixels: np.ndarray) -> None:
    """Set the model's normalisation to the channel means and deviations of pixels (n, c, h, w)."""
    wide = pixels.astype(np.float64)
    model.mean.copy_(torch.from_numpy(wide.mean((0, 2, 3))).view_as(model.mean))
    model.std.copy_(torch.from_numpy(wide.std((0, 2, 3))).clamp_min(1e-3).view_as(model.std))


def write(manifest: str | Path, model: Classifier, history: list[dict], **about) -> None:
    """Write a model's weights and training history; ``about`` as in :func:`modelkin.artifacts.write`."""

    def save(folder: Path) -> None:
        folder.mkdir()
        weights = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        (folder / HISTORY).write_text(json.dumps(history, indent=1) + "\n")

    parameters = sum(parameter.numel() for parameter in model.parameters())
    facts = {"build": model.build, "parameters": parameters, **about.pop("facts", {})}
    artifacts.write(manifest, save, suffix="", facts=facts, **about)


def history(manifest: str | Path) -> list[dict]:
    """Epoch, loss and accuracies of a trained model, one row per epoch."""
    return json.loads((artifacts.store(manifest, "") / HISTORY).read_text())


def load_model(manifest: str | Path, device: torch.device | str = "cpu") -> Classifier:
    """The trained model of a manifest (``results/<study>/models/<model>.json``), frozen, in eval mode.

    Raises ModelkinError if the weights are damaged, do not fit or hold NaN.
    """
    path = artifacts.store(manifest, "") / WEIGHTS
    model = _rebuilt(artifacts.read(manifest)["facts"]["build"])
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
    return frozen(model).to(device)


def frozen(model: nn.Module) -> nn.Module:
    """The model in eval mode, its parameters without gradients."""
    return model.eval().requires_grad_(False)


@torch.no_grad()
def check_fits(model: nn.Module, images: Images, name: str) -> None:
    """ModelkinError unless the model gives one finite logit per class of these images."""
    device = next(model.parameters()).device
    logits = model(torch.from_numpy(images.pixels[:2]).to(device))
    if logits.ndim != 2 or logits.shape[1] != len(images.classes):
        raise ModelkinError(
            f"model '{name}' gives outputs of shape {tuple(logits.shape[1:])}, "
            f"but the dataset has {len(images.classes)} classes."
        )
    if not torch.isfinite(logits).all():
        raise ModelkinError(f"model '{name}' returns NaN or infinite logits.")
