"""What one model computes on one probe: representations, logits and, on natural images, saliency."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from modelkin import artifacts, kinds
from modelkin import images as image_store
from modelkin.computing import Fitting
from modelkin.errors import ModelkinError
from modelkin.images import Images
from modelkin.measures import BOUNDARIES
from modelkin.models import batch_rows

PART_ROWS = 500  # computed before they are written
DIMENSIONS = {
    "representation": ("sample", "feature"),
    "logits": ("sample", "class"),
    "label": ("sample",),
    "saliency": ("sample", "channel", "y", "x"),
}


def of(model, images: Images, **how) -> xr.Dataset:
    """representation (n, p), logits (n, C) and the images' label (n,), with sample ids.

    how: as in :func:`blocks`.
    """
    return xr.concat(list(blocks(model, images, **how)), "sample")


def blocks(
    model, images: Images, *, batch_size: int | None = None, device: torch.device | str = "cpu"
) -> Iterator[xr.Dataset]:
    """What :func:`of` returns, some rows at a time: no more is held than has been computed last.

    Raises ModelkinError if a value is not finite.
    """

    def compute(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return {**dict(zip(("representation", "logits"), model.both(x), strict=True)), "label": y}

    yield from _computed(compute, model, images, batch_size, device)


def saliency(
    model, images: Images, *, batch_size: int | None = None, device: torch.device | str = "cpu"
) -> Iterator[xr.Dataset]:
    """saliency (n, c, h, w) in float32, some rows at a time: the gradient of the true label's cross-entropy
    with respect to the image, at the size at which the image is given.
    """

    def compute(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            # The sum over samples: each image's gradient depends on its own loss alone.
            total = cross_entropy(model(x), y, reduction="sum")
            return {"saliency": torch.autograd.grad(total, x)[0]}

    yield from _computed(compute, model, images, batch_size, device)


def _computed(compute, model, images: Images, batch_size: int | None, device) -> Iterator[xr.Dataset]:
    batch_size, fitting = batch_size or batch_rows(max(model.size, images.shape[-1]), device), Fitting()
    for part in images.blocks(math.ceil(PART_ROWS / batch_size) * batch_size):
        found = []
        for batch in part.blocks(batch_size):
            x, y = (torch.from_numpy(values).to(device) for values in (batch.floats(), batch.labels))
            found.extend(fitting(compute, x, y))
        yield _dataset({name: torch.cat([values[name] for values in found]) for name in found[0]}, part.ids)


def _dataset(computed: dict[str, torch.Tensor], ids: np.ndarray) -> xr.Dataset:
    data = {name: _stored(values) for name, values in computed.items()}
    for name, values in data.items():
        if not np.isfinite(values).all():
            raise ModelkinError(f"the model's {name} contains NaN or infinite values.")
    return xr.Dataset(
        {name: (DIMENSIONS[name], values) for name, values in data.items()},
        coords={"sample": image_store.sample_coordinate(ids)},
    )


def _stored(values: torch.Tensor) -> np.ndarray:
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()


def reader(results: Path, order: list[str]) -> Callable[[str, str, str, str], xr.DataArray]:
    """read(kind, source, observer, what): what an observer computed on a probe, with its samples.

    results: of the study; order: all its models, retired ones too. what: representation, logits, saliency,
    label, outcomes (of the adversarial probe), or regions and distances (of the boundaries).
    """

    def opened(kind: str, source: str, observer: str, what: str) -> xr.Dataset:
        manifest, group = f"boundaries/{observer}", what
        if what not in BOUNDARIES:
            manifest, group = where(kind, source, observer, order)
            manifest, group = f"activations/{manifest}", "saliency" if what == "saliency" else group
        return image_store.open_(artifacts.store(results / f"{manifest}.json"), group)

    def read(kind: str, source: str, observer: str, what: str) -> xr.DataArray:
        if what == "outcomes":
            return outcomes(*(opened(each, source, observer, "logits") for each in ("natural", kind)))
        return opened(kind, source, observer, what)[what]

    return read


def transfer(
    read: Callable[[str, str, str, str], xr.DataArray], names: list[str]
) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], np.ndarray]]:
    """right (n,) of each model on the natural probe; fooled (n,) for each (source, observer): whether the
    observer is wrong on the source's adversarial images.

    read: of :func:`reader`.
    """
    right, fooled = {}, {}
    for observer in names:
        for source in names:
            values = read("adversarial", source, observer, "outcomes").to_numpy().astype(bool)
            right[observer], fooled[source, observer] = values.T
    return right, fooled


def outcomes(clean: xr.Dataset, attacked: xr.Dataset) -> xr.DataArray:
    """(n, 2): whether a model is right on each image, and wrong on an adversarial image made of it.

    clean, attacked: what it computed on both, of the same samples. Raises ModelkinError if they differ.
    """
    if clean["sample"].to_numpy().tolist() != attacked["sample"].to_numpy().tolist():
        raise ModelkinError("the adversarial probe is of other images than the natural one; make both again.")
    label = clean["label"].to_numpy()
    right, named = (data["logits"].to_numpy().argmax(1) for data in (clean, attacked))
    values = np.stack([right == label, named != label], axis=1).astype(np.float32)
    return xr.DataArray(values, dims=("sample", "outcome"), coords={"sample": clean["sample"]})


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
