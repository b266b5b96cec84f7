"""What one model computes on one probe: representations, logits and, on natural images, saliency."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from modelkin import images as image_store
from modelkin import kinds
from modelkin.errors import ModelkinError
from modelkin.images import BLOCK_ROWS, Images
from modelkin.models import batch_rows

DIMENSIONS = {
    "representation": ("sample", "feature"),
    "logits": ("sample", "class"),
    "saliency": ("sample", "channel", "y", "x"),
}


def of(
    model,
    images: Images,
    *,
    saliency: bool = False,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """representation (n, p) and logits (n, C) in float32, with sample ids; saliency (n, c, h, w) if asked.

    Saliency is the gradient of the true label's cross-entropy with respect to the image, at the size
    at which the image is given. Raises ModelkinError if a value is not finite.
    """
    asked = {"saliency": saliency, "batch_size": batch_size, "device": device}
    return xr.concat(list(blocks(model, images, **asked)), "sample")


def blocks(
    model,
    images: Images,
    *,
    saliency: bool = False,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[xr.Dataset]:
    """What :func:`of` returns, some rows at a time: no more is held than has been computed last."""
    batch_size = batch_size or batch_rows(max(model.size, images.shape[-1]), device)
    for part in images.blocks(math.ceil(BLOCK_ROWS / batch_size) * batch_size):
        yield _block(model, part, saliency, batch_size, device)


def _block(model, images: Images, saliency: bool, batch_size: int, device) -> xr.Dataset:
    parts = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        x = torch.from_numpy(images.floats(rows)).to(device)
        y = torch.from_numpy(images.labels[rows]).to(device)
        parts.append(_batch(model, x, y, saliency))
    data = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name, values in data.items():
        if not np.isfinite(values).all():
            raise ModelkinError(f"the model's {name} contains NaN or infinite values.")
    return xr.Dataset(
        {name: (DIMENSIONS[name], values) for name, values in data.items()},
        coords={"sample": image_store.sample_coordinate(images.ids)},
    )


def _batch(model, x: torch.Tensor, y: torch.Tensor, saliency: bool) -> dict[str, np.ndarray]:
    with torch.set_grad_enabled(saliency):
        x.requires_grad_(saliency)
        found = dict(zip(("representation", "logits"), model.both(x), strict=True))
        if saliency:
            # The sum over samples: each image's gradient depends on its own loss alone.
            total = cross_entropy(found["logits"], y, reduction="sum")
            (found["saliency"],) = torch.autograd.grad(total, x)
    return {name: value.detach().float().cpu().numpy() for name, value in found.items()}


def shell(order: list[str]) -> Iterator[tuple[str, str]]:
    """(source, observer) of every run that the last model of ``order`` completes, on inverted probes."""
    newest = order[-1]
    yield from ((newest, observer) for observer in order)
    yield from ((source, newest) for source in order[:-1])


def where(kind: str, source: str, observer: str, order: list[str]) -> tuple[str, str | None]:
    """The artifact (below ``activations/``) and the group that hold an observer's activations on a probe.

    The shell of the later of the two models holds them: ``by/<observer>`` on the shell's own probe,
    ``on/<source>`` of the shell's own model.
    """
    folder = kinds.folder(kind)
    if kinds.drawn(kind) == "natural":
        return f"{folder}/{observer}", None
    if order.index(observer) <= order.index(source):
        return f"{folder}/{source}", f"by/{observer}"
    return f"{folder}/{observer}", f"on/{source}"
