"""A user's own arrays: .npz files with images ``x`` and integer labels ``y``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import lazy_loader
import numpy as np

from modelkin.errors import ModelkinError

images = lazy_loader.load("modelkin.images", suppress_warning=True)


def counts(
    test: str, train: str | None = None, classes: list[str] | None = None, grey: bool = False
) -> dict[str, int]:
    """What :func:`load` will return; reads the labels only."""
    labels = {split: _arrays(path, ["y"])["y"] for split, path in _paths(train, test).items()}
    found = len(np.unique(np.concatenate(list(labels.values()))))
    sizes = {split: len(y) for split, y in labels.items()}
    return {"train": 0, **sizes, "classes": len(classes) if classes else found}


def load(
    test: str, train: str | None = None, classes: list[str] | None = None, grey: bool = False
) -> dict[str, images.Images]:
    """Images from two files: x uint8 (n, h, w), (n, h, w, c) or (n, c, h, w), or float in [0, 1]; y (n,).

    train: leave it out when no model is trained. classes: their names in the order of the labels;
    the labels themselves if not given. grey: colour becomes luminance (ITU-R BT.601), one channel.
    """
    arrays = {split: _arrays(path, ["x", "y"]) for split, path in _paths(train, test).items()}
    highest = max(int(found["y"].max()) for found in arrays.values())
    names = list(classes or map(str, range(highest + 1)))
    return {
        split: images.Images(
            _grey(_pixels(found["x"], found["y"], split)) if grey else _pixels(found["x"], found["y"], split),
            found["y"].astype(np.int64),
            np.array([f"{split}-{i:06d}" for i in range(len(found["y"]))]),
            names,
        )
        for split, found in arrays.items()
    }


def _paths(train: str | None, test: str) -> dict[str, str]:
    return {"test": test} if train is None else {"train": train, "test": test}


def _grey(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[1] == 1:
        return pixels
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.einsum("nchw,c->nhw", pixels, weights)[:, None].clip(0, 1)


def _arrays(path: str, names: list[str]) -> dict[str, np.ndarray]:
    """These arrays of a file; ModelkinError if it cannot be read or lacks one."""
    if not Path(path).is_file():
        raise ModelkinError(f"the dataset file {path} does not exist.")
    try:
        with np.load(path, allow_pickle=False) as found:
            missing = [name for name in ("x", "y") if name not in found.files]
            if missing:
                raise ModelkinError(f"{path} must hold arrays x and y; {missing[0]} is missing.")
            arrays = {name: found[name] for name in names}
    except (ValueError, OSError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelkinError(f"{path} is not a readable .npz file of plain arrays ({error}).") from None
    if arrays["y"].ndim != 1 or arrays["y"].dtype.kind not in "iu" or not len(arrays["y"]):
        raise ModelkinError(f"{path}: y must be one whole number for each image.")
    return arrays


def _pixels(x: np.ndarray, y: np.ndarray, split: str) -> np.ndarray:
    """x as float32 (n, c, h, w) in [0, 1]."""
    x = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x.astype(np.float32)
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4 or len(x) != len(y):
        raise ModelkinError(
            f"the {split} split's x must be images and y one label for each; got {x.shape} and {y.shape}."
        )
    return np.ascontiguousarray(x)
