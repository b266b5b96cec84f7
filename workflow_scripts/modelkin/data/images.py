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
    """Labelled images with stable sample ids.

    Those of a store are read when they are asked for, so it may be larger than memory.

    Attributes
    ----------
    pixels : ndarray or DataArray of shape (n, c, h, w)
        uint8 or uint16, white being their largest number, or float32 in [0, 1]; :meth:`floats` gives what
        models
        take.
    labels : ndarray of int64, shape (n,)
    ids : ndarray of str, shape (n,)
    classes : list of str
        Names in the order of the labels.

    Raises
    ------
    ModelkinError
        If numbers of images, labels and ids differ, an id is there twice, or a pixel or a label is out of
        bounds.
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
        """Channels, height and width of each image.

        Returns
        -------
        tuple of int
        """
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def floats(self, rows: Rows = slice(None)) -> np.ndarray:
        """Read pixels as models take them.

        Parameters
        ----------
        rows : slice or sequence of int
            All by default.

        Returns
        -------
        ndarray of float32, shape (rows, c, h, w)
            In [0, 1].
        """
        return unit_floats(np.asarray(self.pixels[rows]))

    def pick(self, rows: Rows) -> Images:
        """Take the images of some rows.

        Parameters
        ----------
        rows : slice or sequence of int

        Returns
        -------
        Images
            In the order of ``rows``; pixels of a store are not read.
        """
        return Images(self.pixels[rows], self.labels[rows], self.ids[rows], self.classes)

    def spread(self, samples: int | None) -> Images:
        """Take some of the images at equal distances, for neighbours may be of one class.

        Parameters
        ----------
        samples : int or None
            How many; all if None, or more than there are.

        Returns
        -------
        Images
        """
        if samples is None or samples >= len(self):
            return self
        return self.pick(np.arange(samples) * len(self) // samples)

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Images]:
        """Go through all images in order, some at a time, read from a store in larger portions.

        Parameters
        ----------
        rows : int
            Images at a time, at most.

        Yields
        ------
        Images
            In memory.
        """
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
        """Find where images stand.

        Parameters
        ----------
        ids : iterable of str

        Returns
        -------
        list of int
            In the order of ``ids``.

        Raises
        ------
        ModelkinError
            If one is not here.
        """
        where = {name: row for row, name in enumerate(self.ids.tolist())}
        missing = [name for name in ids if name not in where]
        if missing:
            raise ModelkinError(f"sample '{missing[0]}' is not among these images.")
        return [where[name] for name in ids]

    def select(self, ids: Iterable[str]) -> Images:
        """Take the images of some ids, each given once.

        Parameters
        ----------
        ids : iterable of str

        Returns
        -------
        Images
            In the order of ``ids``.
        """
        return self.pick(self.rows(ids))

    def to_dataset(self) -> xr.Dataset:
        """Make a dataset of them, as it is stored.

        Returns
        -------
        Dataset
            image (sample, channel, y, x) and label (sample), with the ids as coordinate and the classes as
            attribute.
        """
        pixels = np.asarray(self.pixels)
        return xr.Dataset(
            {"image": (("sample", "channel", "y", "x"), pixels), "label": ("sample", self.labels)},
            coords={"sample": sample_coordinate(self.ids)},
            attrs={"classes": list(self.classes)},
        )

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> Images:
        """Make images of a stored dataset, the inverse of :meth:`to_dataset`.

        Parameters
        ----------
        data : Dataset

        Returns
        -------
        Images
            Whose pixels stay in the store until they are asked for.
        """
        ids = np.array(data["sample"].values.tolist(), dtype=str)
        return cls(data["image"], data["label"].values, ids, list(data.attrs["classes"]))


def unit_floats(pixels: np.ndarray) -> np.ndarray:
    """Scale pixels of 8 or 16 bits to [0, 1].

    Parameters
    ----------
    pixels : ndarray
        uint8, uint16 or float.

    Returns
    -------
    ndarray
        float32; what is not of 8 or 16 bits is left as it is.
    """
    top = WHITE.get(pixels.dtype.name)
    return pixels if top is None else pixels.astype(np.float32) / top


def load_images(manifest: str | Path, group: str | None = None) -> Images:
    """Open the images of an artifact of a study: of a probe, or of one split of the dataset.

    Parameters
    ----------
    manifest : path
        As in ``results/digits/dataset.json`` or ``results/digits/probes/natural.json``.
    group : str, optional
        The split of a dataset: "train" or "test".

    Returns
    -------
    Images
        Whose pixels stay in the store until they are asked for.

    Raises
    ------
    ModelkinError
        If the store is missing or damaged.
    """
    return Images.from_dataset(open_dataset(manifests.store_of(manifest), group))
