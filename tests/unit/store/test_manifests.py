"""Artifacts, images and shells: nothing that looks finished may be wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from modelkin import jobs, probe_kinds, seeds
from modelkin.comparison import measures, similarity
from modelkin.comparison.pairs import Pair, completed_pairs
from modelkin.comparison.recorded import shell_runs, stored_at
from modelkin.data import datasets
from modelkin.data.images import Images
from modelkin.data.probes import natural_probe, seed_target_pairs
from modelkin.errors import ModelkinError
from modelkin.store import arrays, digests, disk, manifests

ABOUT = {"suffix": ".txt", "stage": "test", "version": 1, "settings": {"a": (1, 2)}}


def write(manifest, text="content", **more):
    return manifests.write(manifest, lambda path: path.write_text(text), **ABOUT | more)


def test_a_manifest_says_what_is_there(tmp_path):
    manifest = tmp_path / "x.json"
    made = write(manifest, facts={"n": 1})
    assert manifests.read(manifest) == json.loads(json.dumps(made))
    assert made["digest"] == digests.digest_of(tmp_path / "x.txt")
    write(tmp_path / "y.json", inputs=[manifest])
    assert manifests.read(tmp_path / "y.json")["inputs"] == {"x.json": made["digest"]}


def test_the_same_content_gives_the_same_manifest(tmp_path):
    first, second = (write(tmp_path / name / "x.json") for name in "ab")
    assert first == second
    assert write(tmp_path / "c.json", "other")["digest"] != first["digest"]


def test_a_crash_while_saving_leaves_no_manifest(tmp_path):
    manifest = tmp_path / "x.json"
    write(manifest)

    def crash(path):
        path.write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        manifests.write(manifest, crash, **ABOUT)
    assert not manifest.exists()
    write(manifest, "whole")
    assert (tmp_path / "x.txt").read_text() == "whole"
    assert not list(tmp_path.glob(".*"))


def test_a_crash_before_the_manifest_leaves_no_manifest(tmp_path, monkeypatch):
    manifest = tmp_path / "x.json"
    write(manifest)
    monkeypatch.setattr(manifests, "write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write(manifest, "new")
    assert not manifest.exists()


def test_digest_sees_names_and_contents(tmp_path):
    folder = tmp_path / "d"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("1")
    before = digests.digest_of(folder)
    (folder / "sub" / "a").rename(folder / "sub" / "b")
    renamed = digests.digest_of(folder)
    (folder / "sub" / "b").write_text("2")
    assert len({before, renamed, digests.digest_of(folder)}) == 3


def test_current_is_only_what_was_made_of_the_same(tmp_path):
    manifest, source = tmp_path / "x.json", tmp_path / "in.json"
    write(source)
    write(manifest, inputs=[source])
    made = ABOUT | {"inputs": [source]}
    assert manifests.is_current(manifest, **made)
    assert not manifests.is_current(manifest, **made | {"version": 2})
    assert not manifests.is_current(manifest, **made | {"settings": {"a": (1, 3)}})
    write(source, "changed")
    assert not manifests.is_current(manifest, **made)
    write(manifest, inputs=[source])
    (tmp_path / "x.txt").write_text("damaged")
    assert not manifests.is_current(manifest, **made)
    (tmp_path / "x.txt").unlink()
    assert not manifests.is_current(manifest, **made)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\x00"])
def test_a_damaged_manifest_is_an_error(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ModelkinError, match="x.json is"):
        manifests.read(tmp_path / "x.json")


def test_missing_manifest_and_missing_store(tmp_path):
    with pytest.raises(ModelkinError, match="is missing; run the workflow"):
        manifests.read(tmp_path / "x.json")
    with pytest.raises(ModelkinError, match="although its manifest exists"):
        manifests.store_of(tmp_path / "x.json")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelkinError, match="cannot write in .*file"):
        write(tmp_path / "file" / "x.json")


def test_results_without_permission_are_known_before_any_work(tmp_path, monkeypatch):
    disk.check_writable(tmp_path / "new" / "folder")
    monkeypatch.setattr(disk.os, "access", lambda *_: False)
    with pytest.raises(ModelkinError, match="no write permission"):
        disk.check_writable(tmp_path / "new" / "folder")


def test_a_full_disk_is_one_sentence(tmp_path):
    def full(path):
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelkinError, match="No space left on device"):
        manifests.write(tmp_path / "x.json", full, **ABOUT)
    assert not (tmp_path / "x.json").exists()


def test_an_error_that_is_not_of_writing_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError):
        manifests.write(tmp_path / "x.json", lambda path: (tmp_path / "missing").read_text(), **ABOUT)


# images


def some(n=12, classes=3):
    rng = np.random.default_rng(0)
    ids = np.array([f"s{i}" for i in range(n)])
    names = [str(c) for c in range(classes)]
    return Images(rng.random((n, 1, 4, 4), np.float32), np.arange(n) % classes, ids, names)


def test_images_survive_the_disk(tmp_path):
    arrays.write(some().to_dataset(), tmp_path / "x.zarr")
    back = Images.from_dataset(arrays.open_dataset(tmp_path / "x.zarr"))
    assert np.array_equal(back.pixels, some().pixels)
    assert back.ids.tolist() == some().ids.tolist()
    assert back.classes == some().classes


def test_equal_images_give_equal_digests(tmp_path):
    for name in "ab":
        arrays.write(some().to_dataset(), tmp_path / name, group="g")
    assert digests.digest_of(tmp_path / "a") == digests.digest_of(tmp_path / "b")


def test_black_images_and_lost_ones_are_not_the_same(tmp_path):
    black = Images(np.zeros((4, 1, 2, 2), np.uint8), np.zeros(4, int), np.array(list("abcd")), ["x"])
    store = tmp_path / "c.zarr"  # the name of a chunk's folder too
    arrays.write(black.to_dataset(), store, group="c")
    found = Images.from_dataset(arrays.open_dataset(store, "c"))
    assert not found.floats().any()
    for lost in ("image/c/0/0/0/0", "sample/c/0"):
        again, away = arrays.open_dataset(store, "c"), tmp_path / "away"
        (store / "c" / lost).rename(away)
        with pytest.raises(ModelkinError, match=f"c.zarr is damaged: c/{lost} is missing; delete .*c.json"):
            (again if lost.startswith("image") else arrays.open_dataset(store, "c")).load()
        away.rename(store / "c" / lost)
    with pytest.raises(ModelkinError, match="is damaged and cannot be read"):
        arrays.open_dataset(store, "other")


def test_a_store_that_is_not_one(tmp_path):
    (tmp_path / "x.zarr").mkdir()
    with pytest.raises(ModelkinError, match="cannot be read"):
        arrays.open_dataset(tmp_path / "x.zarr")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda i: (i.pixels * 2, i.labels, i.ids, i.classes), "between 0 and 1"),
        (lambda i: (i.pixels * np.nan, i.labels, i.ids, i.classes), "finite"),
        (lambda i: (i.pixels, i.labels + 1, i.ids, i.classes), "labels must be between 0 and 2"),
        (lambda i: (i.pixels, i.labels[1:], i.ids, i.classes), "differ in number"),
        (lambda i: (i.pixels, i.labels, np.repeat(i.ids[::2], 2), i.classes), "same sample id"),
    ],
)
def test_wrong_images(change, said):
    with pytest.raises(ModelkinError, match=said):
        Images(*change(some()))


def test_probes_are_drawn_by_name_and_refuse_too_few():
    rng = seeds.generator
    first, second = (natural_probe(some(), 5, rng(0, "natural")) for _ in range(2))
    assert first.ids.tolist() == second.ids.tolist()
    assert first.ids.tolist() != natural_probe(some(), 5, rng(0, "other")).ids.tolist()
    with pytest.raises(ModelkinError, match="asks for 13 images"):
        natural_probe(some(), 13, rng(0))
    with pytest.raises(ModelkinError, match="asks? for 13 targets"):
        seed_target_pairs(some(), 13, rng(0))
    with pytest.raises(ModelkinError, match="all of one class"):
        seed_target_pairs(some(classes=1), 3, rng(0))


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


# shells


def test_shells_hold_every_run_once():
    order = list("abcd")
    runs = [run for i in range(1, 5) for run in shell_runs("inverted", order[:i])]
    assert sorted(runs) == sorted(("inverted", source, observer) for source in order for observer in order)
    # What a shell writes is where a later shell looks.
    for i, newest in enumerate(order):
        for run in shell_runs("inverted", order[: i + 1]):
            manifest, _ = stored_at(run, order)
            assert manifest == f"activations/inverted/{newest}.json"


def test_pairs_of_all_shells_are_all_pairs():
    order = list("abcd")
    found = [pair for i, name in enumerate(order) for pair in completed_pairs(name, order[:i], "digits")]
    assert len(found) == len(set(found)) == 4 * 5 // 2 + 4 * 4
    every = probe_kinds.all_kinds(["other"], adversarial=True)
    assert every == ["natural", "inverted", "adversarial", "natural:other", "inverted:other"]
    more = [p for i, name in enumerate(order) for p in completed_pairs(name, order[:i], "digits", every)]
    assert len(more) == len(set(more)) == 3 * 10 + 2 * 16


def observed(ids):
    values = np.random.default_rng(0).normal(size=(len(ids), 4))
    return xr.Dataset({"representation": (("sample", "feature"), values)}, coords={"sample": ids})


@pytest.mark.parametrize("ids", [["a", "b", "d", "c"], ["a", "b", "c"]])
def test_activations_of_different_samples_are_never_compared(ids):
    held = {"m": observed(["a", "b", "c", "d"]), "o": observed(ids)}
    with pytest.raises(ModelkinError, match="'m' and 'o' on the natural probe of 'digits' are of different"):
        similarity.similarity_rows(
            [Pair("natural", "digits", "m", "o")],
            lambda run, what: held[run.observer][what],
            [measures.ConfiguredMeasure("linear_cka")],
            permutations=1,
            seed=0,
        )


# jobs


def test_a_job_that_cannot_go_on_says_so_in_one_line(tmp_path):
    code = (
        "from modelkin import jobs; from modelkin.errors import ModelkinError\n"
        f"with jobs.running_job({str(tmp_path / 'log')!r}, 'train a'): raise ModelkinError('it is wrong.')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "train a: it is wrong.\n"
    assert "ERROR it is wrong." in (tmp_path / "log").read_text()


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert jobs.job_device({}).type == "cpu"
    with pytest.raises(ModelkinError, match="no usable GPU"):
        jobs.job_device({"device": "cuda"})


def test_seeds_are_by_name():
    assert seeds.derive_seed(0, "a", "b") == seeds.derive_seed(0, "a", "b")
    assert (
        len({seeds.derive_seed(s, *names) for s in (0, 1) for names in (("a",), ("b",), ("a", "b"), ("ab",))})
        == 8
    )
