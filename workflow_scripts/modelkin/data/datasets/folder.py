"""A user's own folders of images: one folder for each class, as torchvision's ImageFolder has them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelkin import lazy
from modelkin.errors import ModelkinError
from modelkin.store import disk

if TYPE_CHECKING:
    from modelkin.data.datasets import base
else:
    base = lazy.module("modelkin.data.datasets.base")

SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}
LARGEST_LIST = 1e7  # bytes of a list of classes


def counts(test: str, size: int, train: str | None = None, classes: str | list[str] | None = None, **more):
    """What :func:`load` will return; lists the folders only."""
    names = _classes(classes, test)
    found = {split: len(_listed(root, names)[0]) for split, root in _roots(train, test).items()}
    return {"train": 0, **found, "classes": len(names), "size": size}


def shape(test: str, size: int, channels: int = 3, **more) -> tuple[int, int, int]:
    """Channels, height and width of the images, as the settings say."""
    return channels, size, size


def files(test: str, train: str | None = None, classes: str | list[str] | None = None, **more) -> list[str]:
    """The folders of the splits, and the list of classes if it is a file."""
    return [*_roots(train, test).values(), *([classes] if isinstance(classes, str) else [])]


def missing(test: str, train: str | None = None, classes: str | list[str] | None = None, **more) -> list[str]:
    """A sentence for each folder, and for the list of classes, that is not there."""
    found = [
        f"dataset folder: {root} is not a folder."
        for root in _roots(train, test).values()
        if not Path(root).is_dir()
    ]
    if isinstance(classes, str) and not Path(classes).is_file():
        found.append(_no_list(classes))
    return found


def load(
    test: str,
    size: int,
    train: str | None = None,
    classes: str | list[str] | None = None,
    channels: int = 3,
    resize: int | None = None,
    interpolation: str = "bilinear",
    skip_corrupt: bool = False,
) -> dict:
    """Images below ``test`` (and ``train``), in one folder for each class.

    size, resize, channels, interpolation: see :class:`modelkin.data.datasets.base.Preparation`.
    classes: the folders' names in the order of the models' logits, as a list or as a text file with
    one a line; some may have no folder. Without it, the sorted folders of ``test`` are the classes.
    Sample ids are paths below ``test`` or ``train``. skip_corrupt: leave out unreadable images.
    """
    names = _classes(classes, test)
    prepare = base.Preparation(size, channels, resize, interpolation)
    return {split: _split(root, names, prepare, skip_corrupt) for split, root in _roots(train, test).items()}


def _split(root: str, names: list[str], prepare, skip_corrupt: bool):
    paths, labels = _listed(root, names)
    places = [Path(root) / path for path in paths]
    return base.Files(
        open=lambda row: _opened(places[row]),
        names=[str(place) for place in places],
        labels=np.array(labels, np.int64),
        ids=np.array(paths),
        classes=names,
        prepare=prepare,
        skip_corrupt=skip_corrupt,
    )


def _opened(place: Path) -> base.Image.Image:
    if not place.is_file():  # a pipe or a device, which may have no end, or a link to nothing
        raise OSError("it is not a file")
    return base.Image.open(place)


def _roots(train: str | None, test: str) -> dict[str, str]:
    return {"test": test} if train is None else {"train": train, "test": test}


def _classes(classes: str | list[str] | None, test: str) -> list[str]:
    if classes is None:
        return _folders(test)
    if isinstance(classes, str):
        try:
            text = disk.check_file(classes, "the dataset's list of classes", LARGEST_LIST).read_text("utf-8")
        except UnicodeDecodeError:
            raise ModelkinError(f"the dataset's list of classes, {classes}, is no text in UTF-8.") from None
        classes = text.split("\n")
    names = [line.strip() for line in classes if line.strip()]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelkinError(f"dataset folder: class '{twice}' stands twice in the list of classes.")
    return names


def _no_list(classes: str) -> str:
    return f"the dataset's list of classes, {classes}, does not exist."


def _folders(root: str) -> list[str]:
    if not Path(root).is_dir():
        raise ModelkinError(f"dataset folder: {root} is not a folder.")
    return sorted(path.name for path in Path(root).iterdir() if path.is_dir())


def _listed(root: str, names: list[str]) -> tuple[list[str], list[int]]:
    """Sorted paths below root and their labels; ModelkinError for a folder that is no class."""
    label = {name: number for number, name in enumerate(names)}
    strange = [folder for folder in _folders(root) if folder not in label]
    if strange:
        raise ModelkinError(
            f"dataset folder: {root} has {len(strange)} folders that are not in the list of classes, "
            f"first '{strange[0]}'."
        )
    paths = sorted(
        path.relative_to(root).as_posix()
        for folder in _folders(root)
        for path in (Path(root) / folder).rglob("*")
        if path.suffix.lower() in SUFFIXES
    )
    if not paths:
        raise ModelkinError(f"dataset folder: there are no images in the folders of {root}.")
    return paths, [label[path.split("/")[0]] for path in paths]
