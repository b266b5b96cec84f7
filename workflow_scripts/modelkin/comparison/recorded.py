"""What models computed on probes, read from where a study keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from modelkin import probe_kinds
from modelkin.comparison.measures import BOUNDARIES
from modelkin.errors import ModelkinError
from modelkin.store import arrays, manifests


def reader(results: Path, order: list[str]) -> Callable[[str, str, str, str], xr.DataArray]:
    """read(kind, source, observer, what): what an observer computed on a probe, with its samples.

    results: of the study; order: all its models, retired ones too. what: representation, logits, saliency,
    label, outcomes (of the adversarial probe), or regions and distances (of the boundaries).
    """

    def opened(kind: str, source: str, observer: str, what: str) -> xr.Dataset:
        group: str | None
        if what in BOUNDARIES:
            manifest, group = f"boundaries/{observer}", what
        else:
            manifest, group = where(kind, source, observer, order)
            manifest, group = f"activations/{manifest}", "saliency" if what == "saliency" else group
        return arrays.open_dataset(manifests.store_of(results / f"{manifest}.json"), group)

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


def shell_runs(order: list[str]) -> Iterator[tuple[str, str]]:
    """(source, observer) of every run that the last model of ``order`` completes, on inverted probes."""
    newest = order[-1]
    yield from ((newest, observer) for observer in order)
    yield from ((source, newest) for source in order[:-1])


def where(kind: str, source: str, observer: str, order: list[str]) -> tuple[str, str | None]:
    """The artifact (below ``activations/``) and the group that hold an observer's activations on a probe.

    The shell of the later of the two models holds them: ``by/<observer>`` on the shell's own probe,
    ``on/<source>`` of the shell's own model.
    """
    folder = probe_kinds.folder_of(kind)
    if probe_kinds.origin_of(kind) == "natural":
        return f"{folder}/{observer}", None
    if order.index(observer) <= order.index(source):
        return f"{folder}/{source}", f"by/{observer}"
    return f"{folder}/{observer}", f"on/{source}"
