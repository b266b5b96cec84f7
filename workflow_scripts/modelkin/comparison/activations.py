"""What one model computes on one probe: representations, logits and, on natural images, saliency."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from modelkin.batching import MemoryFittingBatches, batch_rows
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.store import arrays

PART_ROWS = 500  # computed before they are written
DIMENSIONS = {
    "representation": ("sample", "feature"),
    "logits": ("sample", "class"),
    "label": ("sample",),
    "saliency": ("sample", "channel", "y", "x"),
}


def compute_activations(model, images: Images, **how) -> xr.Dataset:
    """representation (n, p), logits (n, C) and the images' label (n,), with sample ids.

    how: batch_size and device, as in :func:`activation_parts`.
    """
    return xr.concat(list(activation_chunks(model, images, **how)), "sample")


def activation_chunks(model, images: Images, **how) -> Iterator[xr.Dataset]:
    """What :func:`compute_activations` returns, some rows at a time, of which only the last are held."""
    return (compute() for compute in activation_parts(model, images, **how))


def activation_parts(
    model, images: Images, *, batch_size: int | None = None, device: torch.device | str = "cpu"
) -> Iterator[Callable[[], xr.Dataset]]:
    """A function for each part of the images, which computes representation, logits and label of its rows.

    The functions raise ModelkinError if a value is not finite.
    """

    def compute(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return {**dict(zip(("representation", "logits"), model.both(x), strict=True)), "label": y}

    return _parts(compute, model, images, batch_size, device)


def saliency_chunks(model, images: Images, **how) -> Iterator[xr.Dataset]:
    """saliency (n, c, h, w) in float32, some rows at a time; how: as in :func:`activation_parts`."""
    return (compute() for compute in saliency_parts(model, images, **how))


def saliency_parts(
    model, images: Images, *, batch_size: int | None = None, device: torch.device | str = "cpu"
) -> Iterator[Callable[[], xr.Dataset]]:
    """A function for each part of the images, which computes saliency (n, c, h, w) of its rows.

    Saliency is the gradient of the true label's cross-entropy with respect to the image, in float32, at the
    size at which the image is given.
    """

    def compute(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            # The sum over samples: each image's gradient depends on its own loss alone.
            total = cross_entropy(model(x), y, reduction="sum")
            return {"saliency": torch.autograd.grad(total, x)[0]}

    return _parts(compute, model, images, batch_size, device)


def _parts(compute, model, images: Images, batch_size, device) -> Iterator[Callable[[], xr.Dataset]]:
    batch_size = batch_size or batch_rows(max(model.size, images.shape[-1]), device)
    fitting = MemoryFittingBatches()

    def computed(part: Images) -> xr.Dataset:
        found = []
        for batch in part.chunks(batch_size):
            x, y = (torch.from_numpy(values).to(device) for values in (batch.floats(), batch.labels))
            found.extend(fitting(compute, x, y))
        return _dataset({name: torch.cat([values[name] for values in found]) for name in found[0]}, part.ids)

    rows = math.ceil(PART_ROWS / batch_size) * batch_size
    for start in range(0, len(images), rows):
        yield functools.partial(computed, images.pick(slice(start, start + rows)))


def _dataset(computed: dict[str, torch.Tensor], ids: np.ndarray) -> xr.Dataset:
    data = {name: _stored(values) for name, values in computed.items()}
    for name, values in data.items():
        if not np.isfinite(values).all():
            raise ModelkinError(f"the model's {name} contains NaN or infinite values.")
    return xr.Dataset(
        {name: (DIMENSIONS[name], values) for name, values in data.items()},
        coords={"sample": arrays.sample_coordinate(ids)},
    )


def _stored(values: torch.Tensor) -> np.ndarray:
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()
