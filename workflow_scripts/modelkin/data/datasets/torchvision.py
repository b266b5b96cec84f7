"""The datasets of torchvision, by name; downloaded only if the config says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from modelkin import lazy
from modelkin.errors import ModelkinError, unknown_name

if TYPE_CHECKING:
    from modelkin.data.datasets import base
else:
    base = lazy.module("modelkin.data.datasets.base")


class About(NamedTuple):
    """A dataset: its class in torchvision, how its splits are asked for, what they hold, where it lies."""

    builder: str
    train: dict
    test: dict
    images: tuple[int, int]  # train, test
    classes: int
    channels: int
    size: int | None  # None: images differ in size
    place: str  # below root, there when it has been downloaded
    loadable: bool = True


def _by(key: str, train, test) -> tuple[dict, dict]:
    return {key: train}, {key: test}


TRAIN = _by("train", True, False)
SPLIT = _by("split", "train", "test")
ABOUT = {
    "cifar10": About("CIFAR10", *TRAIN, (50_000, 10_000), 10, 3, 32, "cifar-10-batches-py"),
    "cifar100": About("CIFAR100", *TRAIN, (50_000, 10_000), 100, 3, 32, "cifar-100-python"),
    "svhn": About("SVHN", *SPLIT, (73_257, 26_032), 10, 3, 32, "test_32x32.mat"),
    "mnist": About("MNIST", *TRAIN, (60_000, 10_000), 10, 1, 28, "MNIST/raw"),
    "fashion_mnist": About("FashionMNIST", *TRAIN, (60_000, 10_000), 10, 1, 28, "FashionMNIST/raw"),
    "emnist": About(
        "EMNIST",
        {"split": "balanced", "train": True},
        {"split": "balanced", "train": False},
        (112_800, 18_800),
        47,
        1,
        28,
        "EMNIST/raw",
    ),
    "gtsrb": About("GTSRB", *SPLIT, (26_640, 12_630), 43, 3, None, "gtsrb"),
    "flowers102": About("Flowers102", *SPLIT, (1_020, 6_149), 102, 3, None, "flowers-102"),
    # Its validation split is the test split here, as that of ImageNet is.
    "imagenette": About(
        "Imagenette", *_by("split", "train", "val"), (9_469, 3_925), 10, 3, None, "imagenette2"
    ),
    "imagenet": About(
        "ImageNet", *_by("split", "train", "val"), (1_281_167, 50_000), 1000, 3, None, "val", False
    ),
}


def counts(dataset: str, root: str, **settings) -> dict[str, int | None]:
    """What :func:`load` will return: the published numbers, whether the dataset is there or not."""
    about = _about(dataset)
    _preparation(about, dataset, **settings)
    train, test = about.images
    return {
        "train": train if settings.get("train", True) else 0,
        "test": test,
        "classes": about.classes,
        "size": settings.get("size") or about.size,
    }


def shape(dataset: str, root: str, **settings) -> tuple[int, int, int]:
    """Channels, height and width of the images, as published or as the settings say."""
    about = _about(dataset)
    prepare = _preparation(about, dataset, **settings)
    size = prepare.size or about.size
    assert size is not None  # _preparation has refused it
    return prepare.channels, size, size


def files(dataset: str, root: str, **settings) -> list[str]:
    """The file or folder below root that the dataset is in."""
    return [str(Path(root) / _about(dataset).place)]


def missing(dataset: str, root: str, download: bool = False, **settings) -> list[str]:
    """A sentence if the dataset is not below root and will not be downloaded."""
    about = _about(dataset)
    if _there(dataset, root) or (download and about.loadable):
        return []
    how = (
        "give the dataset `download: true`, or put it there"
        if about.loadable
        else "torchvision cannot download it; put it there"
    )
    return [f"dataset {dataset} is not in {root} ({about.place} is missing); {how}."]


def _there(dataset: str, root: str) -> bool:
    return (Path(root) / _about(dataset).place).exists()


def load(
    dataset: str,
    root: str,
    download: bool = False,
    size: int | None = None,
    channels: int | None = None,
    resize: int | None = None,
    interpolation: str = "bilinear",
    train: bool = True,
) -> dict:
    """One of torchvision's datasets, in or to be put into the folder ``root``.

    dataset: cifar10, cifar100, svhn, mnist, fashion_mnist, emnist (its 'balanced' split), gtsrb,
    flowers102, imagenette (full size) or imagenet; the validation split of the last two is the test split.
    size and channels convert the images (see :class:`modelkin.data.datasets.base.Preparation`); images that
    differ in size need a size.
    train: False leaves the train split out, when no model is trained.
    """
    for sentence in missing(dataset, root, download):
        raise ModelkinError(sentence)
    about = _about(dataset)
    prepare = _preparation(about, dataset, size, channels, resize, interpolation)
    kinds = {"train": about.train, "test": about.test} if train else {"test": about.test}
    return {name: _split(name, kind, dataset, root, download, prepare) for name, kind in kinds.items()}


def _split(name: str, kind: dict, dataset: str, root: str, download: bool, prepare):
    import torchvision

    about = _about(dataset)
    more = {"download": download} if about.loadable else {}
    try:
        found = getattr(torchvision.datasets, about.builder)(root, **kind, **more)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = "read" if _there(dataset, root) else "downloaded"
        raise ModelkinError(
            f"dataset {dataset} cannot be {what} ({reason}); without a network, put its files into {root}."
        ) from None
    labels = _labels(found)
    ids = np.array([f"{dataset}-{name}-{row:06d}" for row in range(len(labels))])
    return base.Files(lambda row: found[row][0], ids, labels, ids, _classes(found, about), prepare)


def _labels(found) -> np.ndarray:
    """The labels of a torchvision dataset, by whichever name it keeps them, without opening an image."""
    if hasattr(found, "_samples"):
        return np.array([label for _, label in found._samples], np.int64)
    kept = next(getattr(found, name) for name in ("targets", "labels", "_labels") if hasattr(found, name))
    return np.asarray(kept, np.int64)


def _classes(found, about: About) -> list[str]:
    names = getattr(found, "classes", None)
    if not names or len(names) != about.classes:
        return [str(number) for number in range(about.classes)]
    return [name if isinstance(name, str) else name[0] for name in names]


def _preparation(
    about: About,
    dataset: str,
    size: int | None = None,
    channels: int | None = None,
    resize: int | None = None,
    interpolation: str = "bilinear",
    **_,
) -> base.Preparation:
    if about.size is None and size is None:
        raise ModelkinError(f"dataset {dataset}: its images differ in size; give a size.")
    wanted = None if size == about.size and resize is None else size
    return base.Preparation(wanted, channels or about.channels, resize, interpolation)


def _about(dataset: str) -> About:
    if dataset not in ABOUT:
        raise unknown_name("dataset of torchvision", dataset, ABOUT)
    return ABOUT[dataset]
