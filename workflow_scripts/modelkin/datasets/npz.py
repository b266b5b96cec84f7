"""A user's own arrays: .npz files with images ``x`` and integer labels ``y``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modelkin.errors import ModelkinError
from modelkin.images import Images


def load(train: str, test: str, classes: list[str] | None = None) -> dict[str, Images]:
    """Images from two files: x uint8 (n, h, w), (n, h, w, c) or (n, c, h, w), or float in [0, 1]; y (n,)."""
    return {split: _read(Path(path), classes) for split, path in (("train", train), ("test", test))}


def _read(path: Path, classes: list[str] | None) -> Images:
    if not path.is_file():
        raise ModelkinError(f"the dataset file {path} does not exist.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = {"x", "y"} - set(arrays.files)
            if missing:
                raise ModelkinError(
                    f"{path} must hold arrays x and y; {', '.join(sorted(missing))} is missing."
                )
            x, y = arrays["x"], arrays["y"].astype(np.int64)
    except (ValueError, OSError) as error:
        raise ModelkinError(f"{path} is not a readable .npz file of plain arrays ({error}).") from None
    x = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x.astype(np.float32)
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4 or len(x) != len(y):
        raise ModelkinError(
            f"{path}: x must be images and y one label for each; got {x.shape} and {y.shape}."
        )
    names = classes or [str(c) for c in range(int(y.max()) + 1)]
    ids = np.array([f"{path.stem}-{i:06d}" for i in range(len(y))])
    return Images(np.ascontiguousarray(x), y, ids, names)
