"""Labelled images with stable sample ids, and their form on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from modelkin.errors import ModelkinError
from modelkin.store import manifests
from modelkin.store.arrays import CHUNK_ROWS, open_dataset, sample_coordinate

READ_BYTES = 2**28  # of pixels that are read from a store at once
Rows = slice | Sequence[int] | np.ndarray  # row numbers, in the order in which they are wanted
WHITE = {"uint8": 255, "uint16": 65535}  # every pixel of 8 bits is one of 16 bits, 257 times as large


@dataclass(frozen=True)
class Images:
    """n images: pixels (n, c, h, w), labels int64 (n,), ids str (n,), class names.

    Pixels are uint8 or uint16, white being their largest number, or float32 in [0, 1]. Those of a store are
    read when they are asked for, so it may be larger than memory: :meth:`floats` gives what models take.
    """

    pixels: np.ndarray | xr.DataArray
    labels: np.ndarray
    ids: np.ndarray
    classes: list[str]

    def __post_init__(self):
        if not len(self.pixels) == len(self.labels) == len(self.ids):
            raise ModelkinError("images, labels and sample ids differ in number.")
        if len(set(self.ids.tolist())) != len(self.ids):
            raise ModelkinError("two images have the same sample id.")
        if isinstance(self.pixels, np.ndarray) and self.pixels.dtype.name not in WHITE:
            low, high = self.pixels.min(initial=0), self.pixels.max(initial=0)
            if not (np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= 1):
                raise ModelkinError("pixels must be finite and between 0 and 1.")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ModelkinError(f"labels must be between 0 and {len(self.classes) - 1}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of each image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def floats(self, rows: Rows = slice(None)) -> np.ndarray:
        """The pixels of these rows as float32 in [0, 1]."""
        return unit_floats(np.asarray(self.pixels[rows]))

    def pick(self, rows: Rows) -> Images:
        """The images of these rows, in that order."""
        return Images(self.pixels[rows], self.labels[rows], self.ids[rows], self.classes)

    def spread(self, samples: int | None) -> Images:
        """So many of the images at equal distances, since neighbours may be of one class; all if None."""
        if samples is None or samples >= len(self):
            return self
        return self.pick(np.arange(samples) * len(self) // samples)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Images]:
        """All images in order, at most ``rows`` at a time, read from a store in larger portions."""
        held = min(CHUNK_ROWS, READ_BYTES // max(1, self.pixels.dtype.itemsize * math.prod(self.shape)))
        portion = max(1, held // rows) * rows
        for start in range(0, len(self), portion):
            part = self.pick(slice(start, start + portion))
            pixels = np.asarray(part.pixels)
            for first in range(0, len(part), rows):
                here = slice(first, first + rows)
                yield Images(pixels[here], part.labels[here], part.ids[here], part.classes)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Iterable[str]) -> list[int]:
        """Where the images of these ids stand, in that order; ModelkinError if one is not here."""
        where = {name: row for row, name in enumerate(self.ids.tolist())}
        missing = [name for name in ids if name not in where]
        if missing:
            raise ModelkinError(f"sample '{missing[0]}' is not among these images.")
        return [where[name] for name in ids]

    def select(self, ids: Iterable[str]) -> Images:
        """The images of these ids, each given once, in that order."""
        return self.pick(self.rows(ids))

    def to_dataset(self) -> xr.Dataset:
        """images (sample, channel, y, x) and label (sample), with the ids as coordinate."""
        pixels = np.asarray(self.pixels)
        return xr.Dataset(
            {"image": (("sample", "channel", "y", "x"), pixels), "label": ("sample", self.labels)},
            coords={"sample": sample_coordinate(self.ids)},
            attrs={"classes": list(self.classes)},
        )

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> Images:
        """The inverse of :meth:`to_dataset`; the pixels of a store stay there until they are asked for."""
        ids = np.array(data["sample"].values.tolist(), dtype=str)
        return cls(data["image"], data["label"].values, ids, list(data.attrs["classes"]))


def unit_floats(pixels: np.ndarray) -> np.ndarray:
    """Pixels of 8 or 16 bits as float32 in [0, 1]; others as they are."""
    top = WHITE.get(pixels.dtype.name)
    return pixels if top is None else pixels.astype(np.float32) / top


def load_images(manifest: str | Path, group: str | None = None) -> Images:
    """The images of a manifest: a probe, or one split of the dataset as group."""
    return Images.from_dataset(open_dataset(manifests.store_of(manifest), group))
