"""Labelled images with stable sample ids, and their form on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from zarr.codecs import BloscCodec

from modelkin import artifacts
from modelkin.errors import ModelkinError

CHUNK_ROWS = 1000
CODEC = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle")


@dataclass(frozen=True)
class Images:
    """n images: pixels float32 (n, c, h, w) in [0, 1], labels int64 (n,), ids str (n,), class names."""

    pixels: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    classes: list[str]

    def __post_init__(self):
        if not len(self.pixels) == len(self.labels) == len(self.ids):
            raise ModelkinError("images, labels and sample ids differ in number.")
        if len(set(self.ids.tolist())) != len(self.ids):
            raise ModelkinError("two images have the same sample id.")
        if not np.isfinite(self.pixels).all() or self.pixels.min() < 0 or self.pixels.max() > 1:
            raise ModelkinError("pixels must be finite and between 0 and 1.")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ModelkinError(f"labels must be between 0 and {len(self.classes) - 1}.")

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids) -> list[int]:
        """Where the images of these ids stand, in that order; ModelkinError if one is not here."""
        where = {name: row for row, name in enumerate(self.ids.tolist())}
        missing = [name for name in ids if name not in where]
        if missing:
            raise ModelkinError(f"sample '{missing[0]}' is not among these images.")
        return [where[name] for name in ids]

    def select(self, ids) -> Images:
        """The images of these ids, each given once, in that order."""
        rows = self.rows(ids)
        return Images(self.pixels[rows], self.labels[rows], self.ids[rows], self.classes)

    def to_dataset(self) -> xr.Dataset:
        """images (sample, channel, y, x) and label (sample), with the ids as coordinate."""
        return xr.Dataset(
            {"image": (("sample", "channel", "y", "x"), self.pixels), "label": ("sample", self.labels)},
            coords={"sample": sample_coordinate(self.ids)},
            attrs={"classes": list(self.classes)},
        )

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> Images:
        """The inverse of :meth:`to_dataset`."""
        ids = np.array(data["sample"].values.tolist(), dtype=str)
        return cls(data["image"].values, data["label"].values, ids, list(data.attrs["classes"]))


def sample_coordinate(ids) -> np.ndarray:
    """Sample ids in the form in which zarr v3 keeps strings (variable length)."""
    return np.asarray(ids, dtype=object)


def save(data: xr.Dataset, path: Path, group: str | None = None) -> None:
    """Write a dataset (or one group of a store) in row chunks, compressed losslessly."""
    encoding = {}
    for name, variable in data.data_vars.items():
        rows = min(CHUNK_ROWS, max(1, variable.shape[0]))
        encoding[name] = {"chunks": (rows, *variable.shape[1:]), "compressors": CODEC}
    data.to_zarr(path, group=group, mode="a", encoding=encoding, consolidated=False, zarr_format=3)


def open_(path: Path, group: str | None = None) -> xr.Dataset:
    """A stored dataset (or one group of it), read lazily."""
    try:
        return xr.open_zarr(path, group=group, consolidated=False, chunks=None)
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise ModelkinError(f"{path} cannot be read ({error}); delete its manifest and run again.") from None


def load(manifest: str | Path, group: str | None = None) -> Images:
    """The images of a manifest: a probe, or one split of the dataset as group."""
    return Images.from_dataset(open_(artifacts.store(manifest), group))
