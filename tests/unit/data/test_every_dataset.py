"""What all datasets have in common; a new one is checked as soon as its module and an example are there."""

import dataclasses
import importlib
import pickle
import types

import contracts
import numpy as np
import pytest
from PIL import Image

from modelkin.data import datasets
from modelkin.data.images import Images

RNG = np.random.default_rng(0)


def digits(folder, monkeypatch):
    return {"size": 8, "test": 300}


def npz(folder, monkeypatch):
    for split in ("train", "test"):
        pixels = RNG.integers(0, 256, (9, 6, 6, 3), dtype=np.uint8)
        np.savez(folder / f"{split}.npz", x=pixels, y=np.arange(9) % 3)
    return {"train": str(folder / "train.npz"), "test": str(folder / "test.npz")}


def folder(folder, monkeypatch):
    for split in ("train", "test"):
        for label in ("ant", "bee"):
            (folder / split / label).mkdir(parents=True)
            for number in range(3):
                pixels = RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{split}{number}.png")
    return {"train": str(folder / "train"), "test": str(folder / "test"), "size": 8}


def torchvision(folder, monkeypatch):
    """CIFAR-10 as torchvision keeps it, with few images, their checksums and numbers set aside."""
    import torchvision

    place = folder / "cifar-10-batches-py"
    place.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        data = RNG.integers(0, 256, (10, 3072), dtype=np.uint8)
        (place / name).write_bytes(pickle.dumps({"data": data, "labels": list(range(10))}))
    words = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (place / "batches.meta").write_bytes(pickle.dumps({"label_names": words}))
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *args: True)
    about = module_of("torchvision").ABOUT
    monkeypatch.setitem(about, "cifar10", about["cifar10"]._replace(images=(50, 10)))
    return {"dataset": "cifar10", "root": str(folder)}


EXAMPLES = {"digits": digits, "npz": npz, "folder": folder, "torchvision": torchvision}


def module_of(name):
    return importlib.import_module(f"{datasets.__name__}.{name}")


def test_a_module_is_a_dataset():
    contracts.check_registered(datasets, datasets.names())


@pytest.mark.parametrize("name", datasets.names())
def test_every_dataset(name, tmp_path, monkeypatch):
    assert name in EXAMPLES, "give a small example of it here"
    module = module_of(name)
    for thing in (module, module.load, module.counts, module.shape, module.missing):
        contracts.check_documented(thing)
    contracts.check_dataset(module, EXAMPLES[name](tmp_path, monkeypatch))


# the checks themselves


def images(split, n=6, classes=3, **changed):
    pixels = np.random.default_rng(len(split)).random((n, 1, 4, 4), np.float32)
    ids = np.array([f"{split}-{i}" for i in range(n)])
    return dataclasses.replace(Images(pixels, np.arange(n) % classes, ids, list("abc")), **changed)


def made(**changed):
    """A dataset of two splits."""
    counted = {"train": 6, "test": 6, "classes": 3, "size": 4}
    functions = {
        "load": lambda: {"train": images("train"), "test": images("test")},
        "counts": lambda: counted,
        "shape": lambda: (1, 4, 4),
        "missing": lambda: [],
    }
    return types.SimpleNamespace(**functions | changed)


def drawn():
    pixels = np.random.default_rng().random((6, 1, 4, 4), np.float32)
    return {"train": images("train"), "test": images("test", pixels=pixels)}


WRONG = {
    "counts too many": made(counts=lambda: {"train": 6, "test": 7, "classes": 3, "size": 4}),
    "another shape": made(shape=lambda: (3, 4, 4)),
    "the same ids": made(load=lambda: {"train": images("train"), "test": images("train")}),
    "says it is missing": made(missing=lambda: ["put it there"]),
    "other images each time": made(load=drawn),
    "counts what it lacks": made(load=lambda: {"test": images("test")}),
    "no test images": made(load=lambda: {"train": images("train")}),
}


def test_the_dataset_from_which_the_wrong_ones_are_made_is_good():
    contracts.check_dataset(made(), {})


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_dataset_is_found(what):
    with pytest.raises(AssertionError):
        contracts.check_dataset(WRONG[what], {})
