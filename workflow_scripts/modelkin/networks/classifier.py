"""Classifiers: one wrapper for all of them, and their form on disk.

A model takes images in [0, 1] and does its own normalisation. This module knows nothing of how a
model came to be or what it is used for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from modelkin import precision
from modelkin.batching import MemoryFittingBatches, batch_rows
from modelkin.data.images import Images
from modelkin.networks import tracing
from modelkin.networks.folding import fold_batch_norms
from modelkin.networks.tracing import Reached, SplitPoint, captured_inputs

RESIZING = ("nearest", "bilinear", "bicubic")
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue
Network = TypeVar("Network", bound=nn.Module)


class Classifier(nn.Module):
    """An image classifier: images in [0, 1] in, logits out, with a representation before its head.

    It scales images to its size and normalises them itself.

    Parameters
    ----------
    network : Module
        Takes images that have been normalised.
    head : str
        Name of the module whose input is the representation.
    mean, std : sequence of float
        Normalisation of each channel, in units of [0, 1].
    size : int
        Pixels a side of the images that the network takes; others are scaled to it.
    resize : {"nearest", "bilinear", "bicubic"}
        How.
    """

    # What builds it again, and where it is from: set by who builds it.
    build: dict[str, Any]
    origin: dict[str, Any]
    hub: str | None = None  # the name at a hub that its weights were loaded by
    mean: torch.Tensor
    std: torch.Tensor

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
        """Compute logits.

        Parameters
        ----------
        images : Tensor of shape (n, c, h, w)
            In [0, 1], of any size.

        Returns
        -------
        Tensor of shape (n, C)
        """
        x = self.prepared(images)
        with precision.autocast(images.device):
            logits = self.network(x)
        # What is no tensor is refused, by its type, when a model is taken in.
        return logits.to(images.dtype) if isinstance(logits, torch.Tensor) else logits

    def prepared(self, images: torch.Tensor) -> torch.Tensor:
        """Scale and normalise images as the network takes them.

        A network of colour images is given grey ones in each of its channels, one of grey images the
        luminance of colours (ITU-R BT.601, as Pillow has it).

        Parameters
        ----------
        images : Tensor of shape (n, c, h, w)
            In [0, 1].

        Returns
        -------
        Tensor of shape (n, channels of the network, size, size)
        """
        images = resized(images, self.size, self.resize)
        if images.shape[1] == 3 and self.mean.shape[1] == 1:
            images = torch.einsum("nchw,c->nhw", images, images.new_tensor(LUMINANCE))[:, None]
        return (images - self.mean) / self.std

    def representation(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the input of the head, flattened; what comes after it is not computed.

        Parameters
        ----------
        images : Tensor of shape (n, c, h, w)
            In [0, 1].

        Returns
        -------
        Tensor of shape (n, p)
        """
        with captured_inputs(self.network, [self.head], stop=True) as seen, contextlib.suppress(Reached):
            self(images)
        return seen[self.head].flatten(1).to(images.dtype)

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute representation and logits by one forward pass.

        Parameters
        ----------
        images : Tensor of shape (n, c, h, w)
            In [0, 1].

        Returns
        -------
        tuple of Tensor
            Of shapes (n, p) and (n, C).
        """
        with captured_inputs(self.network, [self.head]) as seen:
            logits = self(images)
        return seen[self.head].flatten(1).to(images.dtype), logits

    def folded(self) -> Classifier:
        """Make a faster copy of it, its batch norms folded into convolutions where that can be done.

        Returns
        -------
        Classifier
            The same function up to rounding.
        """
        own = {name: getattr(self, name) for name in ("head", "size", "resize")}
        mean, std = (value.flatten().tolist() for value in (self.mean, self.std))
        example = torch.rand(self.blank(2).shape, generator=torch.Generator().manual_seed(0)).to(self.mean)
        network = fold_batch_norms(self.network, (example - self.mean) / self.std)
        return on_device(frozen(Classifier(network, mean=mean, std=std, **own)), self.mean.device)

    def split_points(self) -> list[SplitPoint]:
        """Find where the network can be cut in two.

        Returns
        -------
        list of SplitPoint
            In the order of the forward pass.
        """
        return tracing.split_points(self.network, self.prepared(self.blank(1)))

    def blank(self, number: int) -> torch.Tensor:
        """Make black images of the model's own size.

        Parameters
        ----------
        number : int

        Returns
        -------
        Tensor of shape (number, c, size, size)
        """
        return self.mean.new_zeros(number, self.mean.shape[1], self.size, self.size)


def model_batches(
    model: Classifier, images: Images, device: torch.device | str = "cpu"
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Go through images at a model's own size, as many at a time as memory allows.

    Parameters
    ----------
    model : Classifier
    images : Images
    device : torch.device or str

    Yields
    ------
    tuple of Tensor
        Images (b, c, size, size) in [0, 1] and their labels (b,), on the device.
    """
    for part in images.chunks(batch_rows(max(model.size, images.shape[-1]), device)):
        yield model_batch(model, part, device)


def model_batch(
    model: Classifier, images: Images, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put images on a device, at a model's own size.

    Parameters
    ----------
    model : Classifier
    images : Images
    device : torch.device or str

    Returns
    -------
    tuple of Tensor
        Images (n, c, size, size) in [0, 1] and their labels (n,).
    """
    x = torch.from_numpy(images.floats()).to(device)
    return resized(x, model.size, model.resize), torch.from_numpy(images.labels).to(device)


def resized(images: torch.Tensor, size: int, method: str = "bilinear") -> torch.Tensor:
    """Scale images in [0, 1] to a size, smoothed before shrinking; differentiable.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w)
    size : int
        Pixels a side.
    method : {"nearest", "bilinear", "bicubic"}

    Returns
    -------
    Tensor of shape (n, c, size, size)
        In [0, 1]; the images themselves if they have that size.
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
    """Move a model to a device, its weights in the memory order that is fastest there.

    Parameters
    ----------
    model : Classifier
    device : torch.device or str

    Returns
    -------
    Classifier
        The same object.
    """
    fast = torch.device(device).type == "cuda"
    model.network.to(memory_format=torch.channels_last if fast else torch.preserve_format)
    return model.to(device)


def frozen(model: Network) -> Network:
    """Put a network in eval mode, its parameters without gradients.

    Parameters
    ----------
    model : Module

    Returns
    -------
    Module
        The same object.
    """
    return model.eval().requires_grad_(False)


@torch.no_grad()
def is_right(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Tell for each image whether the class with the highest logit is its label.

    Parameters
    ----------
    model : Module
    images : Tensor of shape (n, c, h, w)
    labels : Tensor of int, shape (n,)

    Returns
    -------
    Tensor of bool, shape (n,)
    """
    return torch.cat(MemoryFittingBatches()(lambda x, y: model(x).argmax(1) == y, images, labels))
