"""Manifests: nothing that looks finished may be wrong."""

import json

import pytest

from modelkin.errors import ModelkinError
from modelkin.store import digests, disk, manifests

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


def test_what_stands_in_the_way_of_files_is_named(tmp_path):
    files = [tmp_path / "a" / "b" / "x.json", tmp_path / "y.json"]
    disk.check_places(files, tmp_path)
    (tmp_path / "y.json").mkdir()
    with pytest.raises(ModelkinError, match=r"y.json is a folder, and a file is to stand there"):
        disk.check_places(files, tmp_path)
    (tmp_path / "y.json").rmdir()
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelkinError, match=r"a is no folder"):
        disk.check_places(files, tmp_path)
