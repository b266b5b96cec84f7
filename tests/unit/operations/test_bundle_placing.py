"""Where a bundle is put: whole, in a place of its own, or not at all."""

import json

import pytest
import yaml
from small_bundle import CONFIG, Whole

from modelkin.errors import ModelkinError
from modelkin.operations import bundle
from modelkin.operations.bundle import placing


@pytest.fixture
def asked(monkeypatch):
    """What Snakemake is asked, which answers that all is as it should be."""
    said = []

    def answer(folder, study, *arguments):
        said.append(arguments)
        if arguments[0] == "verify":
            told = folder / "results" / study / "logs" / "verify.jsonl"
            told.parent.mkdir(exist_ok=True)
            told.write_text("".join(json.dumps(each) + "\n" for each in answer.findings))
        return placing.subprocess.CompletedProcess(arguments, answer.status, "no reason")

    answer.findings, answer.status, answer.said = [], 0, said
    monkeypatch.setattr(placing, "_snakemake", answer)
    return answer


def unpacked(tmp_path):
    path = Whole().write(tmp_path / "x.zip")
    folder = tmp_path / "here"
    folder.mkdir(exist_ok=True)
    return path, folder


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_bundle_is_put_in_its_place(tmp_path, asked):
    path, folder = unpacked(tmp_path)
    asked.findings = [["x.json", "missing", "it is not there"]]
    bundle.unpack(path, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["results", "tiny.yaml"]
    assert yaml.safe_load((folder / "tiny.yaml").read_text()) == CONFIG
    touch = asked.said[-1]
    assert touch[:2] == ("--touch", "--forceall")
    assert set(touch[2:]) == {"results/tiny/dataset.json", "results/tiny/probes/pairs.json"}


@pytest.mark.parametrize("state", ["stale", "damaged", "orphaned"])
def test_what_verify_finds_leaves_nothing(tmp_path, asked, state):
    path, folder = unpacked(tmp_path)
    asked.findings = [["y.json", "missing", "no"], ["x.json", state, "why"]]
    with pytest.raises(ModelkinError, match=rf"x.json is {state} .why., one of 1 findings; nothing was"):
        bundle.unpack(path, folder)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("results", [False, True])
def test_a_study_that_cannot_be_recorded_leaves_nothing(tmp_path, asked, results):
    path, folder = unpacked(tmp_path)
    if results:
        (folder / "results" / "other").mkdir(parents=True)
    asked.status = 1
    with pytest.raises(ModelkinError, match="cannot go on with the study 'tiny': no reason"):
        bundle.unpack(path, folder)
    assert [each.name for each in folder.rglob("*")] == (["results", "other"] if results else [])


def test_findings_of_another_time_are_not_taken(tmp_path, monkeypatch):
    told = tmp_path / "results" / "tiny" / "logs" / "verify.jsonl"
    told.parent.mkdir(parents=True)
    told.write_text("")
    none = placing.subprocess.CompletedProcess((), 0, "it did not start")
    monkeypatch.setattr(placing, "_snakemake", lambda *_: none)
    with pytest.raises(ModelkinError, match="it did not start"):
        bundle.findings(tmp_path, "tiny")


@pytest.mark.parametrize("there", ["results/tiny/x", "tiny.yaml"])
@pytest.mark.parametrize("link", [False, True])
def test_what_is_there_is_not_overwritten(tmp_path, asked, there, link):
    path, folder = unpacked(tmp_path)
    place = folder / there
    if link:
        place = folder / there.removesuffix("/x")
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(tmp_path / "nowhere")
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("mine")
    with pytest.raises(ModelkinError, match="is there already and is not overwritten"):
        bundle.unpack(path, folder)
    assert not asked.said
    assert link or place.read_text() == "mine"


@pytest.mark.parametrize("name", ["config", "CONFIG"])
def test_names_of_other_files(tmp_path, name):
    with pytest.raises(ModelkinError, match=f"cannot be called '{name}'"):
        bundle.check_new(tmp_path, name)


def test_what_cannot_be_filled_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "half").write_text("x")
        raise ModelkinError("no more")

    with pytest.raises(ModelkinError, match="no more"):
        bundle.place(tmp_path, "tiny", {}, fill)
    assert names_in(tmp_path) == []
    assert not list((tmp_path / "results").iterdir())


def test_what_an_interrupted_run_left_is_not_taken_in(tmp_path):
    (tmp_path / "results" / ".tiny.partial").mkdir(parents=True)
    (tmp_path / "results" / ".tiny.partial" / "old").write_text("x")
    bundle.place(tmp_path, "tiny", {"study": "tiny"}, lambda folder: (folder / "new").write_text("x"))
    assert names_in(tmp_path) == ["results/tiny/new", "tiny.yaml"]


@pytest.mark.parametrize(("free", "fits"), [(10, True), (9, False)])
def test_room_is_asked_for(tmp_path, monkeypatch, free, fits):
    monkeypatch.setattr(placing.shutil, "disk_usage", lambda _: placing.shutil._ntuple_diskusage(1, 1, free))
    if fits:
        placing._check_room(tmp_path, 10)
    else:
        with pytest.raises(ModelkinError, match="has 0.0 free"):
            placing._check_room(tmp_path, 10)


def test_room_is_asked_for_all_that_is_unpacked(tmp_path, asked, monkeypatch):
    path, folder = unpacked(tmp_path)
    size = sum(each["bytes"] for each in bundle.Bundle(path).listed["files"].values())
    usage = placing.shutil._ntuple_diskusage(1, 1, size - 1)
    monkeypatch.setattr(placing.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelkinError, match="free"):
        bundle.unpack(path, folder)
    assert not list(folder.iterdir())


def test_without_a_workflow_nothing_is_placed(tmp_path, asked, monkeypatch):
    def none():
        raise ModelkinError("there is no workflow")

    path, folder = unpacked(tmp_path)
    monkeypatch.setattr(placing, "workflow_file", none)
    with pytest.raises(ModelkinError, match="there is no workflow"):
        bundle.unpack(path, folder)
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_is_known_before(tmp_path, monkeypatch):
    monkeypatch.setattr(placing.disk.os, "access", lambda *_: False)
    with pytest.raises(ModelkinError, match="no write permission"):
        bundle.place(tmp_path, "tiny", {}, lambda folder: None)
    assert not list(tmp_path.iterdir())


def test_a_config_keeps_its_order(tmp_path):
    bundle.place(tmp_path, "tiny", {"study": "tiny", "a": 1}, lambda folder: None)
    assert (tmp_path / "tiny.yaml").read_text() == "study: tiny\na: 1\n"
