"""Classifiers: one wrapper for all of them, and their form on disk.

A model takes images in [0, 1] and does its own normalisation. This module knows nothing of how a
model came to be or what it is used for.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from modelkin import architectures, artifacts
from modelkin.errors import ModelkinError
from modelkin.images import Images

WEIGHTS, HISTORY = "weights.safetensors", "history.json"


class Classifier(nn.Module):
    """Images (n, c, h, w) in [0, 1] -> representation (n, p), the input of the head -> logits (n, C).

    mean, std: per-channel normalisation, in pixel units of [0, 1].
    """

    def __init__(self, features: nn.Module, head: nn.Module, mean: torch.Tensor, std: torch.Tensor):
        super().__init__()
        self.features, self.head = features, head
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def representation(self, images: torch.Tensor) -> torch.Tensor:
        return self.features((images - self.mean) / self.std)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.representation(images))


def new(
    architecture: str, *, channels: int, size: int, classes: int, width: int, representation: int
) -> Classifier:
    """An untrained classifier; its weights come from torch's global generator."""
    features = architectures.build(
        architecture, channels=channels, size=size, width=width, representation=representation
    )
    blank = torch.zeros(channels)
    model = Classifier(features, nn.Linear(representation, classes), blank, blank + 1)
    model.build = {
        "architecture": architecture,
        "channels": channels,
        "size": size,
        "classes": classes,
        "width": width,
        "representation": representation,
    }
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
    artifacts.write(manifest, save, suffix="", stage="train", facts=facts, **about)


def history(manifest: str | Path) -> list[dict]:
    """Epoch, loss and accuracies of a trained model, one row per epoch."""
    return json.loads((artifacts.store(manifest, "") / HISTORY).read_text())


def load_model(manifest: str | Path, device: torch.device | str = "cpu") -> Classifier:
    """The trained model of a manifest (``results/<study>/models/<model>.json``), frozen, in eval mode.

    Raises ModelkinError if the weights are damaged, do not fit or hold NaN.
    """
    shape = artifacts.read(manifest)["facts"]["build"]
    path = artifacts.store(manifest, "") / WEIGHTS
    model = new(**shape)
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
