"""Datasets: whatever lies on a disk becomes images with stable ids, or is refused by name."""

import logging
import os
import pickle

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from modelkin.data import datasets
from modelkin.data.datasets import base
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.store import arrays
from modelkin.study.config import Study

RNG = np.random.default_rng(0)
CLASSES = ["ant", "bee", "cat"]


def picture(size=(20, 16), mode="RGB", seed=0):
    """A smooth random image: smooth, so that resizing and JPEG change it little."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(40, 200, (4, 4, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def folder(tmp_path):
    """Three classes with two images each, of different sizes and formats."""
    root = tmp_path / "test"
    for number, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        picture((30, 20), seed=number).save(root / name / "b.png")
        picture((16, 40), seed=number + 10).save(root / name / "a.jpg", quality=95)
    return root


def loaded(root, size=8, **more):
    return base.joined(datasets.load("folder", test=str(root), size=size, **more)["test"])


# folders


def test_folders_are_classes_and_paths_are_ids(folder):
    found = loaded(folder)
    assert found.classes == CLASSES
    assert found.ids.tolist() == [f"{name}/{file}" for name in CLASSES for file in ("a.jpg", "b.png")]
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.pixels.shape == (6, 3, 8, 8)
    assert found.pixels.dtype == np.uint8
    assert datasets.counts("folder", test=str(folder), size=8) == {
        "train": 0,
        "test": 6,
        "classes": 3,
        "size": 8,
    }


def test_ids_survive_a_file_that_is_added(folder):
    before = loaded(folder)
    picture(seed=99).save(folder / "ant" / "aa.png")
    after = loaded(folder)
    assert set(before.ids) < set(after.ids)
    assert np.array_equal(after.select(before.ids).pixels, before.pixels)


def test_decoding_is_that_of_torchvision(folder):
    from torchvision import transforms

    steps = transforms.Compose([transforms.Resize(12), transforms.CenterCrop(8), transforms.PILToTensor()])
    wanted = [steps(Image.open(folder / name).convert("RGB")).numpy() for name in loaded(folder).ids]
    assert np.array_equal(loaded(folder, resize=12).pixels, np.stack(wanted))


def test_the_number_of_threads_and_the_block_change_nothing(folder):
    split = datasets.load("folder", test=str(folder), size=8)["test"]
    blocks = list(split.chunks(rows=4, threads=3))
    assert [len(block) for block in blocks] == [4, 2]
    assert np.array_equal(np.concatenate([block.pixels for block in blocks]), loaded(folder).pixels)


def test_labels_are_positions_in_the_list_of_classes(folder, tmp_path):
    names = ["bee", "dog", "cat", "ant"]
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    for given in (names, str(tmp_path / "names.txt")):
        found = loaded(folder, classes=given)
        assert found.classes == names
        assert found.labels.tolist() == [3, 3, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["ant", "bee"], "1 folders that are not in the list of classes, first 'cat'"),
        (["ant", "bee", "cat", "ant"], "class 'ant' stands twice"),
        ("no.txt", "list of classes, no.txt, does not exist"),
    ],
)
def test_a_list_of_classes_that_disagrees(folder, classes, said):
    with pytest.raises(ModelkinError, match=said):
        datasets.counts("folder", test=str(folder), size=8, classes=classes)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device or a pipe"),
        (os.mkfifo, "is a device or a pipe"),
        (lambda path: (path.touch(), os.truncate(path, 10**7 + 1)), "is larger than 10 MB"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is no text in UTF-8"),
    ],
)
def test_what_is_no_list_of_classes(folder, tmp_path, make, said):
    """It may be what a stranger's config names."""
    make(tmp_path / "classes.txt")
    with pytest.raises(ModelkinError, match=f"list of classes, .*classes.txt, {said}"):
        datasets.counts("folder", test=str(folder), size=8, classes=str(tmp_path / "classes.txt"))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_an_image_that_has_no_end_is_not_opened(folder, make):
    (folder / "bee" / "a.jpg").unlink()
    make(folder / "bee" / "a.jpg")
    with pytest.raises(ModelkinError, match=r"bee/a.jpg cannot be read .it is not a file."):
        loaded(folder)
    assert len(loaded(folder, skip_corrupt=True)) == 5


def test_folders_that_hold_nothing(folder, tmp_path):
    with pytest.raises(ModelkinError, match="is not a folder"):
        datasets.counts("folder", test=str(tmp_path / "no"), size=8)
    (tmp_path / "bare" / "ant").mkdir(parents=True)
    with pytest.raises(ModelkinError, match="there are no images"):
        datasets.counts("folder", test=str(tmp_path / "bare"), size=8)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"<html>404</html>"])
def test_a_corrupt_image_is_named_and_left_out_only_if_asked(folder, damage, caplog):
    bad = folder / "bee" / "a.jpg"
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.raises(ModelkinError, match="bee/a.jpg cannot be read") as found:
        loaded(folder)
    assert "skip_corrupt: true" in str(found.value)
    with caplog.at_level(logging.WARNING, "modelkin"):
        kept = loaded(folder, skip_corrupt=True)
    assert len(kept) == 5
    assert "bee/a.jpg" not in kept.ids
    assert kept.labels.tolist() == [0, 0, 1, 2, 2]
    assert "left out" in caplog.text
    assert "bee/a.jpg" in caplog.text


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "LA", "1", "YCbCr"])
def test_images_of_any_mode_become_rgb_and_are_counted(folder, mode):
    given = picture(mode=mode)
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    given.save(folder / "ant" / f"odd.{suffix}", **({"quality": 98} if suffix == "jpg" else {}))
    split = datasets.load("folder", test=str(folder), size=16)["test"]
    found = base.joined(split)
    wanted = np.asarray(base.Preparation(16, 3)(given.convert("RGB")), float)
    row = found.ids.tolist().index(f"ant/odd.{suffix}")
    assert abs(found.pixels[row] - wanted).mean() < 4
    stored = "RGB" if mode == "YCbCr" else mode  # Pillow reads such a JPEG as RGB
    assert split.modes[stored] >= 1


def test_sixteen_bits_are_scaled_and_thirty_two_refused(folder):
    ramp = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    Image.fromarray(ramp).save(folder / "ant" / "deep.png")
    row = loaded(folder, size=16).ids.tolist().index("ant/deep.png")
    found = loaded(folder, size=16, channels=1).pixels[row, 0]
    assert abs(found.astype(int) - ramp // 257).max() <= 1
    Image.fromarray(ramp.astype(np.float32)).save(folder / "ant" / "deep.tif")
    with pytest.raises(ModelkinError, match="deep.tif cannot be read .*32 bits"):
        loaded(folder)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"channels": 2}, "channels must be 1 or 3"),
        ({"resize": 4}, "must be at least as large as size"),
        ({"interpolation": "bilinea"}, "did you mean 'bilinear'"),
    ],
)
def test_wrong_preparations(folder, settings, said):
    with pytest.raises(ModelkinError, match=said):
        loaded(folder, **settings)


# stores


def test_pixels_of_a_store_are_read_when_asked_for(tmp_path):
    whole = Images(
        RNG.integers(0, 256, (25, 3, 6, 6), dtype=np.uint8),
        np.arange(25) % 3,
        np.array([f"s{i}" for i in range(25)]),
        CLASSES,
    )
    arrays.write_chunks((block.to_dataset() for block in whole.chunks(10)), tmp_path / "x.zarr", "test")
    back = Images.from_dataset(arrays.open_dataset(tmp_path / "x.zarr", "test"))
    assert not isinstance(back.pixels, np.ndarray)
    assert back.ids.tolist() == whole.ids.tolist()
    assert back.labels.tolist() == whole.labels.tolist()
    assert np.array_equal(back.floats([7, 3, 24]), whole.pixels[[7, 3, 24]].astype(np.float32) / 255)
    assert np.array_equal(np.concatenate([b.pixels for b in back.chunks(7)]), whole.pixels)


def test_images_at_equal_distances():
    whole = of_ten([0] * 10)
    assert whole.spread(5).ids.tolist() == ["0", "2", "4", "6", "8"]
    assert whole.spread(3).ids.tolist() == ["0", "3", "6"]
    assert whole.spread(None) is whole.spread(10) is whole


# subsets


def of_ten(labels):
    n = len(labels)
    return Images(
        np.zeros((n, 1, 2, 2), np.float32), np.array(labels), np.arange(n).astype(str), list("abcdefghij")
    )


def test_subsets_by_name_and_by_draw():
    splits = {"train": of_ten([0, 1, 2, 3]), "test": of_ten([3, 2, 1, 0, 9])}
    named = base.subset(splits, ["d", "b"])
    assert named["test"].classes == ["b", "d"]
    assert named["test"].labels.tolist() == [1, 0]
    assert named["test"].ids.tolist() == ["0", "2"]
    assert named["train"].labels.tolist() == [0, 1]
    kept = base.subset(splits, ["d", "b"], labels="kept")["test"]
    assert kept.classes == list("abcdefghij")
    assert kept.labels.tolist() == [3, 1]
    drawn = [base.subset(splits, 3, seed=seed)["test"].classes for seed in range(6)]
    assert drawn[0] == base.subset(splits, 3, seed=0)["test"].classes
    assert len({tuple(classes) for classes in drawn}) > 1
    assert all("e" not in classes for classes in drawn), "only classes that have images are drawn"
    with pytest.raises(ModelkinError, match="unknown class in the subset 'z'"):
        base.subset(splits, ["a", "z"])
    with pytest.raises(ModelkinError, match="between 2 and the 5"):
        base.subset(splits, 6)


def test_a_subset_of_files_decodes_only_its_own(folder):
    (folder / "ant" / "a.jpg").write_bytes(b"")
    split = datasets.load("folder", test=str(folder), size=8, subset={"classes": ["bee", "cat"]})["test"]
    assert base.joined(split).ids.tolist() == ["bee/a.jpg", "bee/b.png", "cat/a.jpg", "cat/b.png"]
    assert base.joined(split).labels.tolist() == [0, 0, 1, 1]


# torchvision's


def cifar(root, n=20):
    """CIFAR-10 as torchvision keeps it, with few images; its checksums must be switched off."""
    place = root / "cifar-10-batches-py"
    place.mkdir(parents=True)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for name in names:
        data = RNG.integers(0, 256, (n, 3072), dtype=np.uint8)
        (place / name).write_bytes(pickle.dumps({"data": data, "labels": [i % 10 for i in range(n)]}))
    words = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (place / "batches.meta").write_bytes(pickle.dumps({"label_names": words}))


@pytest.fixture
def unchecked(monkeypatch):
    import torchvision

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *args: True)


def test_cifar_through_torchvision(tmp_path, unchecked):
    cifar(tmp_path)
    splits = datasets.load("torchvision", dataset="cifar10", root=str(tmp_path))
    test = base.joined(splits["test"])
    assert (len(splits["train"]), len(test)) == (100, 20)
    assert test.classes[:2] == ["airplane", "automobile"]
    raw = pickle.loads((tmp_path / "cifar-10-batches-py" / "test_batch").read_bytes())
    assert np.array_equal(test.pixels, raw["data"].reshape(-1, 3, 32, 32))
    assert test.labels.tolist() == raw["labels"]
    assert test.ids[3] == "cifar10-test-000003"
    small = base.joined(
        datasets.load("torchvision", dataset="cifar10", root=str(tmp_path), size=16, channels=1, train=False)[
            "test"
        ]
    )
    assert small.pixels.shape == (20, 1, 16, 16)


def test_flowers_differ_in_size_and_svhn_and_gtsrb_have_labels(tmp_path):
    """The label tables differ from class to class; those that need files are made of a few."""
    from types import SimpleNamespace

    module = datasets._module("torchvision", {"dataset": "svhn", "root": "."})
    for kept in ({"targets": torch.tensor([1, 2])}, {"labels": [1, 2]}, {"_labels": [1, 2]}):
        assert module._labels(SimpleNamespace(**kept)).tolist() == [1, 2]
    assert module._labels(SimpleNamespace(_samples=[("a", 1), ("b", 2)])).tolist() == [1, 2]
    with pytest.raises(ModelkinError, match="differ in size; give a size"):
        datasets.counts("torchvision", dataset="flowers102", root=str(tmp_path))


def test_imagenet_through_torchvision(tmp_path):
    """Its devkit is small enough to be made here; a wordnet id has several names, of which we take one."""
    wnids = [f"n{i:08d}" for i in range(1000)]
    (tmp_path / "val" / wnids[0]).mkdir(parents=True)
    (tmp_path / "val" / wnids[2]).mkdir()
    for number in (0, 2):
        picture(seed=number).save(tmp_path / "val" / wnids[number] / f"{number}.JPEG")
    torch.save(({wnid: (f"name {wnid}", "other") for wnid in wnids}, []), tmp_path / "meta.bin")
    split = datasets.load("torchvision", dataset="imagenet", root=str(tmp_path), size=8, train=False)["test"]
    found = base.joined(split)
    assert found.pixels.shape == (2, 3, 8, 8)
    assert len(found.classes) == 1000


def test_imagenette_through_torchvision(tmp_path):
    """Its validation split is the test split, and a class is called by the first of its names."""
    wnids = sorted(torchvision.datasets.Imagenette._WNID_TO_CLASS)
    for split, count in (("train", 2), ("val", 1)):
        for wnid in wnids:
            (tmp_path / "imagenette2" / split / wnid).mkdir(parents=True)
            for number in range(count):
                picture(seed=number).save(tmp_path / "imagenette2" / split / wnid / f"{number}.JPEG")
    where = {"dataset": "imagenette", "root": str(tmp_path)}
    assert datasets.missing("torchvision", **where) == []
    found = datasets.load("torchvision", **where, size=8)
    assert {name: len(split) for name, split in found.items()} == {"train": 20, "test": 10}
    test = base.joined(found["test"])
    assert test.classes[:2] == ["tench", "English springer"]
    assert test.labels.tolist() == list(range(10))
    assert test.pixels.shape == (10, 3, 8, 8)


def test_a_download_that_is_not_allowed_is_told_before_anything_runs(tmp_path):
    where = {"dataset": "cifar10", "root": str(tmp_path)}
    with pytest.raises(ModelkinError, match="is not in .*`download: true`"):
        datasets.load("torchvision", **where)
    assert datasets.counts("torchvision", **where, download=True)["test"] == 10_000
    with pytest.raises(ModelkinError, match="cannot download it; put it there"):
        datasets.load("torchvision", dataset="imagenet", root=str(tmp_path), size=224, download=True)
    with pytest.raises(ModelkinError, match="did you mean 'cifar10'"):
        datasets.counts("torchvision", dataset="cifar1", root=str(tmp_path))


def test_no_network_is_said_in_a_sentence(tmp_path, monkeypatch):
    import urllib.error

    import torchvision

    def unreachable(*args, **keywords):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", unreachable)
    with pytest.raises(ModelkinError, match="cannot be downloaded .*no route to host.*put its files into"):
        datasets.load("torchvision", dataset="cifar10", root=str(tmp_path), download=True)


# npz


def test_npz_conversions_are_asked_for(tmp_path):
    x = RNG.integers(0, 256, (6, 10, 10, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(6) % 2, id=np.array(list("uvwxyz")))
    where = {"test": str(tmp_path / "x.npz")}
    found = datasets.load("npz", **where)["test"]
    assert found.ids.tolist() == list("uvwxyz")
    assert found.pixels.dtype == np.uint8
    grey = datasets.load("npz", **where, channels=1, size=5)["test"]
    assert grey.shape == (1, 5, 5)
    light = (x / 255) @ [0.299, 0.587, 0.114]
    assert grey.floats().mean() == pytest.approx(light.mean(), abs=0.02)
    back = datasets.load("npz", **where, channels=1)["test"].floats()
    assert np.allclose(back[:, 0], light, atol=1e-5)
    np.savez(tmp_path / "wide.npz", x=np.zeros((4, 6, 8), np.uint8), y=np.arange(4) % 2)
    with pytest.raises(ModelkinError, match="6 x 8 pixels are not square; give a size"):
        datasets.load("npz", test=str(tmp_path / "wide.npz"))
    tripled = datasets.load("npz", test=str(tmp_path / "wide.npz"), channels=3, size=8)["test"]
    assert tripled.shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {
                "dataset": {"name": "digits", "label": "mnist"},
                "other_datasets": [{"name": "digits", "label": "mnist"}],
            },
            "two datasets are named 'mnist'",
        ),
        ({"other_datasets": [{"name": "digits"}]}, "lacks the key 'label'"),
        (
            {"other_datasets": [{"name": "digits", "label": "few", "test": 30}]},
            "the test split of few has 30",
        ),
        ({"dataset": {"name": "digits", "subset": {"classes": 1}}}, "subset"),
        ({"resizing": "cubic"}, "did you mean 'bicubic'"),
    ],
)
def test_wrong_datasets_in_a_config(change, said):
    from conftest import TINY

    with pytest.raises(ModelkinError, match=said):
        Study({**TINY, **change})


# before the images are there


EXPECTED = {"test": 70, "classes": 3, "channels": 1, "size": 12}


def test_shapes_are_known_without_images(tmp_path):
    root = str(tmp_path)
    assert datasets.shape("digits", size=12) == (1, 12, 12)
    assert datasets.shape("folder", test=root, size=8) == (3, 8, 8)
    assert datasets.shape("folder", test=root, size=8, channels=1, resize=10) == (1, 8, 8)
    assert datasets.shape("torchvision", dataset="cifar10", root=root) == (3, 32, 32)
    assert datasets.shape("torchvision", dataset="imagenet", root=root, size=224, resize=256) == (3, 224, 224)
    assert datasets.shape("torchvision", dataset="mnist", root=root, size=32, channels=3) == (3, 32, 32)


@pytest.mark.parametrize("name", ["npz", "folder"])
def test_what_is_expected_counts_until_the_dataset_is_there(tmp_path, name):
    test = tmp_path / ("x.npz" if name == "npz" else "x")
    settings = {"test": str(test), **({"size": 8} if name == "folder" else {})}
    with pytest.raises(ModelkinError, match="does not exist|is not a folder"):
        datasets.counts(name, **settings)
    given = {**settings, "expected": EXPECTED}
    assert datasets.counts(name, **given) == {"train": 0, "test": 70, "classes": 3, "size": 12}
    assert datasets.shape(name, **given) == (1, 12, 12)
    (said,) = datasets.missing(name, **given)
    assert str(test) in said
    if name == "npz":
        np.savez(test, x=np.zeros((6, 8, 8, 3), np.uint8), y=np.arange(6) % 2)
    else:
        for label in "ab":
            (test / label).mkdir(parents=True)
            picture().save(test / label / "1.png")
    assert datasets.missing(name, **given) == []
    assert datasets.counts(name, **given)["classes"] == 2
    assert datasets.shape(name, **given) == (3, 8, 8)
    assert len(datasets.load(name, **given)["test"]) == {"npz": 6, "folder": 2}[name]


def test_everything_that_a_folder_lacks_is_said(tmp_path):
    where = {"test": str(tmp_path / "val"), "train": str(tmp_path / "train"), "classes": str(tmp_path / "c")}
    assert len(datasets.missing("folder", size=8, **where)) == 3


def test_what_is_downloaded_is_not_missing(tmp_path):
    where = {"dataset": "cifar10", "root": str(tmp_path)}
    (said,) = datasets.missing("torchvision", **where)
    assert "`download: true`" in said
    assert datasets.missing("torchvision", **where, download=True) == []
    assert datasets.missing("digits") == []


@pytest.mark.parametrize("shape", [(6, 5, 5), (6, 5, 5, 3), (6, 3, 5, 5)])
def test_npz_takes_the_usual_shapes(tmp_path, shape):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, shape, dtype=np.uint8), np.array([0, 1, 2, 0, 1, 2])
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", x=x, y=y)
    given = {"train": str(tmp_path / "train.npz"), "test": str(tmp_path / "test.npz")}
    found = datasets.load("npz", **given)["test"]
    assert found.pixels.shape == (6, 1 if len(shape) == 3 else 3, 5, 5)
    assert found.floats().max() == pytest.approx(x.max() / 255)
    assert datasets.counts("npz", **given) == {"train": 6, "test": 6, "classes": 3, "size": 5}


def test_digits_split_is_a_partition():
    found = datasets.load("digits", test=300)
    assert not set(found["train"].ids) & set(found["test"].ids)
    counted = datasets.counts("digits", test=300)
    assert {split: len(part) for split, part in found.items()} | {"classes": 10, "size": 16} == counted


def test_classes_that_the_train_split_lacks_are_told():
    names = [f"c{i}" for i in range(10)]
    assert base.untaught({0, 1, 2}, {0, 1, 2}, names) is None
    assert base.untaught({0, 1, 2, 3}, {0, 1}, names) is None
    assert "no image of 1 of the 2 classes of the test split (c3)," in base.untaught({0}, {0, 3}, names)
    said = base.untaught({0, 1, 2, 3, 4}, {4, 5, 6, 7, 8, 9}, names)
    assert "no image of 5 of the 6 classes of the test split (c5, c6, c7, c8, ...)" in said
