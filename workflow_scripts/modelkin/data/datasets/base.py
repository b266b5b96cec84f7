"""What datasets share: images decoded in parallel when they are asked for, and subsets of classes."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from modelkin import lazy
from modelkin.errors import ModelkinError, unknown_name

if TYPE_CHECKING:
    from modelkin.data import images
else:
    images = lazy.module("modelkin.data.images")

LOG = logging.getLogger("modelkin")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Preparation:
    """How a decoded image becomes (channels, size, size) in 8 bits.

    The shorter side is scaled to ``resize`` (default ``size``), then the centre is cut out; None for
    size leaves images as they are. channels: 1 (luminance) or 3 (RGB; transparency is dropped).
    """

    size: int | None
    channels: int
    resize: int | None = None
    interpolation: str = "bilinear"

    def __post_init__(self):
        if self.channels not in MODES:
            raise ModelkinError(f"dataset: channels must be 1 or 3, not {self.channels}.")
        if self.interpolation not in INTERPOLATIONS:
            raise unknown_name("interpolation of the dataset", self.interpolation, INTERPOLATIONS)
        if self.size is not None and (self.resize or self.size) < self.size:
            raise ModelkinError(
                f"dataset: resize ({self.resize}) must be at least as large as size ({self.size})."
            )

    def __call__(self, image: Image.Image) -> np.ndarray:
        """uint8 (channels, size, size) of a Pillow image; ValueError for more than 16 bits."""
        image = in_mode(image, MODES[self.channels])
        if self.size is not None:
            image = self._cropped(image)
        pixels = np.asarray(image, np.uint8)
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def _cropped(self, image: Image.Image) -> Image.Image:
        from torchvision.transforms import functional

        method = functional.InterpolationMode(self.interpolation)
        scaled = functional.resize(image, self.resize or self.size, method, antialias=True)
        return functional.center_crop(scaled, self.size)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """A Pillow image as 'L' or 'RGB'; 16-bit grey is scaled to 8 bits rather than cut off."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("it has 32 bits a channel, and what is white is not known; save it with 8 or 16")
    if image.mode == "P" or image.mode in ("1", "LA", "PA"):
        image = image.convert("RGB")
    return image.convert(mode)


@dataclass(frozen=True)
class Files:
    """A split whose images are decoded when asked for: ``open(row)`` gives a Pillow image.

    names: what to call each image in an error. skip_corrupt: leave out what cannot be decoded, with
    a warning, instead of ending.
    """

    open: Callable[[int], Image.Image]
    names: Sequence[str] | np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    classes: list[str]
    prepare: Preparation
    skip_corrupt: bool = False
    rows: np.ndarray | None = None
    modes: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, rows: Sequence[int] | np.ndarray) -> Files:
        """The images of these rows, in that order."""
        chosen = np.asarray(rows)
        kept = chosen if self.rows is None else self.rows[chosen]
        return replace(self, labels=self.labels[chosen], ids=self.ids[chosen], rows=kept)

    def chunks(self, rows: int = 256, threads: int | None = None) -> Iterator[images.Images]:
        """All images in order, decoded by several threads, at most ``rows`` at a time."""
        threads = threads or int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(self), rows):
                here = range(start, min(start + rows, len(self)))
                decoded = dict(zip(here, pool.map(self._decoded, here), strict=True))
                pixels = {row: image for row, image in decoded.items() if image is not None}
                kept = list(pixels)
                if kept:
                    yield images.Images(
                        self._stacked(list(pixels.values())),
                        self.labels[kept],
                        self.ids[kept],
                        self.classes,
                    )

    def _decoded(self, row: int) -> np.ndarray | None:
        at = row if self.rows is None else int(self.rows[row])
        try:
            image = self.open(at)
            self.modes[image.mode] += 1
            return self.prepare(image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if self.skip_corrupt:
                LOG.warning("left out %s, which cannot be read: %s", self.names[at], reason)
                return None
            raise ModelkinError(
                f"the image {self.names[at]} cannot be read ({reason}); replace it, or give the dataset "
                "`skip_corrupt: true` to leave such images out."
            ) from None

    def _stacked(self, decoded: list[np.ndarray]) -> np.ndarray:
        shapes = {image.shape for image in decoded}
        if len(shapes) > 1:
            raise ModelkinError(
                f"the dataset's images differ in size ({', '.join(map(str, sorted(shapes)[:3]))}); "
                "give it a size."
            )
        return np.stack(decoded)


# In memory, or decoded when asked for.
Split: TypeAlias = "images.Images | Files"


def untaught(trained: Collection[int], tested: Collection[int], classes: Sequence[str]) -> str | None:
    """A sentence on classes of the test split of which the train split has no image, if there are any.

    trained, tested: the labels that occur in them.
    """
    lacking = sorted({*tested} - {*trained})
    if not lacking:
        return None
    named = ", ".join(classes[label] for label in lacking[:4]) + (", ..." if len(lacking) > 4 else "")
    return (
        f"the train split has no image of {len(lacking)} of the {len({*tested})} classes of the test split "
        f"({named}), so what is trained on it never names them; if a file in order of class was cut in two, "
        "shuffle it first."
    )


def joined(split: Split) -> images.Images:
    """All images of a split in memory."""
    blocks = list(split.chunks())
    if not blocks:
        raise ModelkinError("the dataset has no images that can be read.")
    parts = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in ("pixels", "labels", "ids")}
    return images.Images(**parts, classes=blocks[0].classes)


def subset(
    splits: dict[str, Split], classes: int | Sequence[str], seed: int = 0, labels: str = "new"
) -> dict[str, Split]:
    """The images of some classes: these, or so many drawn with a seed from the test split's.

    labels: 'new' numbers the chosen classes from 0, in the order in which the dataset has them;
    'kept' leaves labels and classes as they are, for models that know all of them.
    """
    known = splits["test"].classes
    if isinstance(classes, int):
        present = np.unique(splits["test"].labels)
        if not 2 <= classes <= len(present):
            raise ModelkinError(
                f"subset: classes must be between 2 and the {len(present)} of the test split, not {classes}."
            )
        chosen = np.sort(np.random.default_rng(seed).choice(present, classes, replace=False))
    else:
        for name in classes:
            if name not in known:
                raise unknown_name("class in the subset", name, known)
        chosen = np.array(sorted(known.index(name) for name in set(classes)))
    return {name: _of_classes(split, chosen, labels == "new") for name, split in splits.items()}


def _of_classes(split: Split, chosen: np.ndarray, relabel: bool) -> Split:
    rows = np.flatnonzero(np.isin(split.labels, chosen))
    kept = split.pick(rows)
    if not relabel:
        return kept
    classes = [split.classes[label] for label in chosen]
    return replace(kept, labels=np.searchsorted(chosen, kept.labels), classes=classes)
