"""A user's own arrays: .npz files with images ``x`` and integer labels ``y``."""

from __future__ import annotations

import contextlib
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelkin import lazy
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    from modelkin.data import images
else:
    images = lazy.module("modelkin.data.images")

MOST_CLASSES = 2**20  # a name is made for each
# What zipfile and numpy raise of what they cannot read.
UNREADABLE: tuple[type[Exception], ...]
UNREADABLE = (ValueError, TypeError, KeyError, OSError, EOFError, AttributeError, NotImplementedError)
UNREADABLE += (RuntimeError, OverflowError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error)


def counts(
    test: str,
    train: str | None = None,
    classes: list[str] | None = None,
    size: int | None = None,
    **more,
) -> dict[str, int | None]:
    """What :func:`load` will return; reads the labels only, and how large the images are."""
    labels = {split: _arrays(path, ["y"])["y"] for split, path in _paths(train, test).items()}
    found = len(np.unique(np.concatenate(list(labels.values()))))
    sizes = {split: len(y) for split, y in labels.items()}
    with _readable(test):
        across = max(_shape(test, "x")[1:], default=None)
    return {
        "train": 0,
        **sizes,
        "classes": len(classes) if classes else found,
        "size": size or across,
    }


def shape(test: str, **more) -> tuple[int, int, int]:
    """Channels, height and width of the images, which are read for it."""
    return load(test, **{key: more[key] for key in ("channels", "size") if key in more})["test"].shape


def files(test: str, train: str | None = None, **more) -> list[str]:
    """The files of the splits."""
    return list(_paths(train, test).values())


def missing(test: str, train: str | None = None, **more) -> list[str]:
    """A sentence for each file that is not there."""
    return [_no_file(path) for path in _paths(train, test).values() if not Path(path).is_file()]


def load(
    test: str,
    train: str | None = None,
    classes: list[str] | None = None,
    channels: int | None = None,
    size: int | None = None,
) -> dict[str, images.Images]:
    """Images from two files: x uint8 (n, h, w), (n, h, w, c) or (n, c, h, w), or float in [0, 1]; y (n,).

    train: leave it out when no model is trained. classes: their names in the order of the labels;
    the labels themselves if not given. channels: 1 turns colour into luminance (ITU-R BT.601), 3
    repeats grey. size: scales bilinearly, with antialiasing, to size x size pixels. A file may hold
    sample ids as an array ``id`` of strings; otherwise they are made of split and row.
    """
    arrays = {split: _arrays(path, ["x", "y", "id"]) for split, path in _paths(train, test).items()}
    highest = max(int(found["y"].max()) for found in arrays.values())
    names = list(classes or map(str, range(highest + 1)))
    return {
        split: images.Images(
            _converted(_pixels(found["x"], found["y"], split), channels, size),
            found["y"].astype(np.int64),
            found.get("id", np.array([f"{split}-{i:06d}" for i in range(len(found["y"]))])),
            names,
        )
        for split, found in arrays.items()
    }


def _paths(train: str | None, test: str) -> dict[str, str]:
    return {"test": test} if train is None else {"train": train, "test": test}


def _converted(pixels: np.ndarray, channels: int | None, size: int | None) -> np.ndarray:
    """pixels (n, c, h, w) with so many channels and so large, in float32 if anything changed."""
    if channels not in (None, 1, 3):
        raise ModelkinError(f"dataset npz: channels must be 1 or 3, not {channels}.")
    if channels not in (None, pixels.shape[1]):
        pixels = _grey(pixels) if channels == 1 else np.repeat(pixels, 3, axis=1)
    if size in (None, pixels.shape[2]) and pixels.shape[2] == pixels.shape[3]:
        return pixels
    height, width = pixels.shape[2:]
    if size is None:
        raise ModelkinError(f"dataset npz: images of {height} x {width} pixels are not square; give a size.")
    return _scaled(images.unit_floats(pixels), size)


def _grey(pixels: np.ndarray) -> np.ndarray:
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.einsum("nchw,c->nhw", images.unit_floats(pixels), weights)[:, None].clip(0, 1)


def _scaled(pixels: np.ndarray, size: int) -> np.ndarray:
    import torch

    return torch.nn.functional.interpolate(
        torch.from_numpy(pixels), size=(size, size), mode="bilinear", align_corners=False, antialias=True
    ).numpy()


def _no_file(path: str) -> str:
    return f"the dataset file {path} does not exist."


def _arrays(path: str, names: list[str]) -> dict[str, np.ndarray]:
    """These arrays of a file; ModelkinError if it cannot be read or lacks one."""
    if not Path(path).is_file():
        raise ModelkinError(_no_file(path))
    with _readable(path), np.load(path, allow_pickle=False) as found:
        missing = [name for name in ("x", "y") if name not in found.files]
        if missing:
            raise ModelkinError(f"{path} must hold arrays x and y; {missing[0]} is missing.")
        for name in {"x", *names} & {*found.files}:
            _shape(path, name)
        arrays = {name: found[name] for name in names if name in found.files}
    if arrays["y"].ndim != 1 or arrays["y"].dtype.kind not in "iu" or not len(arrays["y"]):
        raise ModelkinError(f"{path}: y must be one whole number for each image.")
    if not 0 <= int(arrays["y"].min()) <= int(arrays["y"].max()) < MOST_CLASSES:
        raise ModelkinError(
            f"{path}: y must number the classes from 0, {MOST_CLASSES} of them at the most; it goes from "
            f"{arrays['y'].min()} to {arrays['y'].max()}."
        )
    return arrays


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Whatever zipfile and numpy raise of a damaged file, in a sentence."""
    try:
        yield
    except UNREADABLE as error:
        said = " ".join(str(error).split())
        raise ModelkinError(f"{path} is not a readable .npz file of plain arrays ({said:.200}).") from None


def _shape(path: str, name: str) -> tuple[int, ...]:
    """The shape of one array of a file, from its header, which must claim no more than there is."""
    with zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, kind = read(stream)
        held = file.getinfo(f"{name}.npy").file_size
    if math.prod(shape) * kind.itemsize > held:
        raise ValueError(f"{name} claims to be {shape} and has {held} bytes")
    return shape


def _pixels(x: np.ndarray, y: np.ndarray, split: str) -> np.ndarray:
    """x as (n, c, h, w), uint8 or float32 in [0, 1]."""
    x = x if x.dtype == np.uint8 else x.astype(np.float32)
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4 or len(x) != len(y):
        raise ModelkinError(
            f"the {split} split's x must be images and y one label for each; got {x.shape} and {y.shape}."
        )
    return np.ascontiguousarray(x)
