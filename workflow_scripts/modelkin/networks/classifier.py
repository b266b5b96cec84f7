"""Classifiers: one wrapper for all of them, and their form on disk.

A model takes images in [0, 1] and does its own normalisation. This module knows nothing of how a
model came to be or what it is used for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from modelkin import precision
from modelkin.batching import MemoryFittingBatches, batch_rows
from modelkin.data.images import Images
from modelkin.networks import tracing
from modelkin.networks.folding import fold_batch_norms
from modelkin.networks.tracing import Reached, SplitPoint, captured_inputs

RESIZING = ("nearest", "bilinear", "bicubic")


class Classifier(nn.Module):
    """Images (n, c, h, w) in [0, 1] -> logits (n, C), by any network that ends in a head.

    network: takes images that have been normalised. head: the name of its module whose input is the
    representation (see :func:`modelkin.networks.tracing.find_head`). mean, std: per-channel normalisation in
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
        with precision.autocast(images.device):
            logits = self.network(x)
        # What is no tensor is refused, by its type, when a model is taken in.
        return logits.to(images.dtype) if isinstance(logits, torch.Tensor) else logits

    def prepared(self, images: torch.Tensor) -> torch.Tensor:
        """The images as the network takes them: at its size, normalised."""
        return (resized(images, self.size, self.resize) - self.mean) / self.std

    def representation(self, images: torch.Tensor) -> torch.Tensor:
        """(n, p): the input of the head, flattened; what comes after is not computed."""
        with captured_inputs(self.network, [self.head], stop=True) as seen, contextlib.suppress(Reached):
            self(images)
        return seen[self.head].flatten(1).to(images.dtype)

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The representation (n, p) and the logits (n, C), by one forward pass."""
        with captured_inputs(self.network, [self.head]) as seen:
            logits = self(images)
        return seen[self.head].flatten(1).to(images.dtype), logits

    def folded(self) -> Classifier:
        """The same function, faster where batch norms can be folded into convolutions."""
        own = {name: getattr(self, name) for name in ("head", "size", "resize")}
        mean, std = (value.flatten().tolist() for value in (self.mean, self.std))
        example = torch.rand(self.blank(2).shape, generator=torch.Generator().manual_seed(0)).to(self.mean)
        network = fold_batch_norms(self.network, (example - self.mean) / self.std)
        return on_device(frozen(Classifier(network, mean=mean, std=std, **own)), self.mean.device)

    def split_points(self) -> list[SplitPoint]:
        """Where the network can be cut in two, in order."""
        return tracing.split_points(self.network, self.prepared(self.blank(1)))

    def blank(self, number: int) -> torch.Tensor:
        """So many black images (n, c, size, size)."""
        return self.mean.new_zeros(number, self.mean.shape[1], self.size, self.size)


def model_batches(
    model: Classifier, images: Images, device: torch.device | str = "cpu"
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images at the model's own size and their labels, as many at a time as memory allows."""
    for part in images.chunks(batch_rows(max(model.size, images.shape[-1]), device)):
        yield model_batch(model, part, device)


def model_batch(
    model: Classifier, images: Images, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """These images at the model's own size (n, c, size, size) and their labels (n,), on a device."""
    x = torch.from_numpy(images.floats()).to(device)
    return resized(x, model.size, model.resize), torch.from_numpy(images.labels).to(device)


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


def on_device(model: Classifier, device: torch.device | str) -> Classifier:
    """The model moved to a device, its weights in the order that is fastest there."""
    fast = torch.device(device).type == "cuda"
    model.network.to(memory_format=torch.channels_last if fast else torch.preserve_format)
    return model.to(device)


def frozen(model: nn.Module) -> nn.Module:
    """The model in eval mode, its parameters without gradients."""
    return model.eval().requires_grad_(False)


@torch.no_grad()
def is_right(model, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether the top-1 class of each image (n, c, h, w) is its label, (n,)."""
    return torch.cat(MemoryFittingBatches()(lambda x, y: model(x).argmax(1) == y, images, labels))
