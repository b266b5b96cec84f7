"""Arrays in zarr stores, through xarray: written in chunks of rows, read lazily, damage found and named.

It knows datasets with a ``sample`` dimension, and nothing of what they mean.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from zarr.abc.store import ByteRequest
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from modelkin.errors import ModelkinError

CHUNK_ROWS = 1000
CHUNK_BYTES = 2**24
CHUNK_KEY = re.compile(r"/c(/\d+)*$")  # the end of its key in a zarr store of format 3
# The checksum, of each chunk, is looked at whenever one is read.
CODECS = (BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"), Crc32cCodec())


def sample_coordinate(ids: Iterable[str]) -> np.ndarray:
    """Put sample ids into the form in which zarr v3 keeps strings (variable length).

    Parameters
    ----------
    ids : iterable of str

    Returns
    -------
    ndarray of object, shape (n,)
    """
    return np.asarray(ids, dtype=object)


def write(data: xr.Dataset, path: Path, group: str | None = None) -> None:
    """Write a dataset, or one group of a store, in chunks of rows, compressed losslessly.

    Parameters
    ----------
    data : Dataset
        With a dimension ``sample``.
    path : Path
        Of the store.
    group : str, optional
    """
    write_chunks([data], path, group)


def write_chunks(chunks: Iterable[xr.Dataset], path: Path, group: str | None = None) -> None:
    """Write datasets that follow each other along the samples as one, holding one at a time.

    Parameters
    ----------
    chunks : iterable of Dataset
        With a dimension ``sample``. They follow those that the group has already.
    path : Path
        Of the store.
    group : str, optional
    """
    begun = Path(path, group or "", "sample").exists()
    about: dict[str, Any] = {
        "group": group,
        "consolidated": False,
        "zarr_format": 3,
        "write_empty_chunks": True,
    }
    with warnings.catch_warnings():
        # Strings of variable length have no final specification in zarr v3; we read them with zarr.
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
        for chunk in chunks:
            if begun:
                chunk.to_zarr(path, append_dim="sample", **about)
            else:
                chunk.to_zarr(path, mode="a", encoding=_encoding(chunk), **about)
                begun = True


def _encoding(data: xr.Dataset) -> dict[Hashable, dict[str, Any]]:
    encoding: dict[Hashable, dict[str, Any]] = {name: {"compressors": CODECS} for name in data.coords}
    for name, variable in data.data_vars.items():
        row_bytes = max(1, variable.dtype.itemsize * int(np.prod(variable.shape[1:])))
        rows = min(CHUNK_ROWS, max(1, CHUNK_BYTES // row_bytes), max(1, variable.shape[0]))
        encoding[name] = {"chunks": (rows, *variable.shape[1:]), "compressors": CODECS}
    return encoding


class _StoreWithoutGaps(LocalStore):
    """A store in which a chunk that is not there is damage: zarr takes it for one of zeros."""

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        found = await super().get(key, prototype, byte_range)
        if found is None and CHUNK_KEY.search(key):
            manifest = self.root.with_suffix(".json")
            raise ModelkinError(
                f"{self.root} is damaged: {key} is missing; delete {manifest} and run again to make it anew."
            )
        return found


def open_dataset(path: Path, group: str | None = None) -> xr.Dataset:
    """Open a stored dataset, to be read lazily.

    Parameters
    ----------
    path : path
        Of the store, as in ``results/digits/activations/natural/vgg-0.zarr``.
    group : str, optional
        Of the store.

    Returns
    -------
    Dataset
        With a coordinate ``sample`` of ids.

    Raises
    ------
    ModelkinError
        If it is damaged; then, or when what is damaged is read.
    """
    try:
        whole = _StoreWithoutGaps(path, read_only=True)
        # Not cached: what is read stays in memory only as long as it is used.
        return xr.open_dataset(
            whole,  # type: ignore[arg-type]  # a store of zarr, which xarray's types leave out
            engine="zarr",
            group=group,
            consolidated=False,
            chunks=None,
            cache=False,
        )
    except (FileNotFoundError, KeyError, ValueError) as error:
        manifest = Path(path).with_suffix(".json")
        raise ModelkinError(
            f"{path} is damaged and cannot be read ({error}); delete it, and {manifest} if it is there, then "
            "run again."
        ) from None


def stored_chunks(path: Path) -> Iterator[xr.Dataset]:
    """Read a stored dataset :data:`CHUNK_ROWS` samples at a time.

    Parameters
    ----------
    path : Path

    Yields
    ------
    Dataset
        In memory.
    """
    data = open_dataset(path)
    for start in range(0, data.sizes["sample"], CHUNK_ROWS):
        yield data.isel(sample=slice(start, start + CHUNK_ROWS)).load()
