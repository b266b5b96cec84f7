"""Labelled images with stable sample ids, and their form on disk."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import LocalStore

from modelkin import artifacts
from modelkin.errors import ModelkinError

BLOCK_ROWS, BLOCK_BYTES = 1000, 2**28
WHITE = {"uint8": 255, "uint16": 65535}  # every pixel of 8 bits is one of 16 bits, 257 times as large
CHUNK_BYTES = 2**24
CHUNK = re.compile(r"/c(/\d+)*$")  # the end of its key in a zarr store of format 3
# The checksum, of each chunk, is looked at whenever one is read.
CODECS = (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec())


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
        return tuple(self.pixels.shape[1:])

    def floats(self, rows: slice | Sequence[int] = slice(None)) -> np.ndarray:
        """The pixels of these rows as float32 in [0, 1]."""
        return unit(np.asarray(self.pixels[rows]))

    def pick(self, rows: slice | Sequence[int]) -> Images:
        """The images of these rows, in that order."""
        return Images(self.pixels[rows], self.labels[rows], self.ids[rows], self.classes)

    def spread(self, samples: int | None) -> Images:
        """So many of the images at equal distances, since neighbours may be of one class; all if None."""
        if samples is None or samples >= len(self):
            return self
        return self.pick(np.arange(samples) * len(self) // samples)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Images]:
        """All images in order, at most ``rows`` at a time, read from a store in larger portions."""
        held = min(BLOCK_ROWS, BLOCK_BYTES // max(1, self.pixels.dtype.itemsize * math.prod(self.shape)))
        portion = max(1, held // rows) * rows
        for start in range(0, len(self), portion):
            part = self.pick(slice(start, start + portion))
            pixels = np.asarray(part.pixels)
            for first in range(0, len(part), rows):
                here = slice(first, first + rows)
                yield Images(pixels[here], part.labels[here], part.ids[here], part.classes)

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


def unit(pixels: np.ndarray) -> np.ndarray:
    """Pixels of 8 or 16 bits as float32 in [0, 1]; others as they are."""
    top = WHITE.get(pixels.dtype.name)
    return pixels if top is None else pixels.astype(np.float32) / top


def sample_coordinate(ids) -> np.ndarray:
    """Sample ids in the form in which zarr v3 keeps strings (variable length)."""
    return np.asarray(ids, dtype=object)


def save(data: xr.Dataset, path: Path, group: str | None = None) -> None:
    """Write a dataset (or one group of a store) in row chunks, compressed losslessly."""
    save_blocks([data], path, group)


def save_blocks(blocks: Iterable[xr.Dataset], path: Path, group: str | None = None) -> None:
    """Write datasets that follow each other along the samples as one, holding one at a time."""
    about = {"group": group, "consolidated": False, "zarr_format": 3, "write_empty_chunks": True}
    with warnings.catch_warnings():
        # Strings of variable length have no final specification in zarr v3; we read them with zarr.
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
        for number, block in enumerate(blocks):
            if number:
                block.to_zarr(path, append_dim="sample", **about)
            else:
                block.to_zarr(path, mode="a", encoding=_encoding(block), **about)


def _encoding(data: xr.Dataset) -> dict[str, dict]:
    encoding = {name: {"compressors": CODECS} for name in data.coords}
    for name, variable in data.data_vars.items():
        row_bytes = max(1, variable.dtype.itemsize * int(np.prod(variable.shape[1:])))
        rows = min(BLOCK_ROWS, max(1, CHUNK_BYTES // row_bytes), max(1, variable.shape[0]))
        encoding[name] = {"chunks": (rows, *variable.shape[1:]), "compressors": CODECS}
    return encoding


class _Whole(LocalStore):
    """A store in which a chunk that is not there is damage: zarr takes it for one of zeros."""

    async def get(self, key, prototype, byte_range=None):
        found = await super().get(key, prototype, byte_range)
        if found is None and CHUNK.search(key):
            manifest = self.root.with_suffix(".json")
            raise ModelkinError(
                f"{self.root} is damaged: {key} is missing; delete {manifest} and run again to make it anew."
            )
        return found


def open_(path: Path, group: str | None = None) -> xr.Dataset:
    """A stored dataset (or one group of it), read lazily; ModelkinError, then or later, if it is damaged."""
    try:
        whole = _Whole(path, read_only=True)
        # Not cached: what is read stays in memory only as long as it is used.
        return xr.open_dataset(
            whole, engine="zarr", group=group, consolidated=False, chunks=None, cache=False
        )
    except (FileNotFoundError, KeyError, ValueError) as error:
        manifest = Path(path).with_suffix(".json")
        raise ModelkinError(
            f"{path} is damaged and cannot be read ({error}); delete it, and {manifest} if it is there, then "
            "run again."
        ) from None


def stored_blocks(path: Path) -> Iterator[xr.Dataset]:
    """A stored dataset, :data:`BLOCK_ROWS` samples at a time."""
    data = open_(path)
    for start in range(0, data.sizes["sample"], BLOCK_ROWS):
        yield data.isel(sample=slice(start, start + BLOCK_ROWS)).load()


def load(manifest: str | Path, group: str | None = None) -> Images:
    """The images of a manifest: a probe, or one split of the dataset as group."""
    return Images.from_dataset(open_(artifacts.store(manifest), group))
