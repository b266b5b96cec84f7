"""Each check of a stranger's bundle, by a small bundle that only this check refuses."""

import json
import stat
import zipfile

import pytest
import yaml
from conftest import TINY

from modelkin.errors import ModelkinError
from modelkin.operations import bundle
from modelkin.operations.bundle import opening, placing
from modelkin.store import digests, manifests

CONFIG = {key: value for key, value in TINY.items() if key != "distillation"}
HERE = "results/tiny/"
DATASET = {"images": {"test": 1}, "classes": ["a"], "shape": [1, 8, 8], "modes": {}}


def artifact(stage, digest, suffix, facts, **made_of):
    made = {
        **{"stage": stage, "version": 2, "settings": {}, "digest": digest, "suffix": suffix, "facts": facts},
        "inputs": {name: each["digest"] for name, each in made_of.items()},
        "manifests": {name: manifests.identity(each) for name, each in made_of.items()},
        "software": {"torch": "2"},
    }
    return made | {manifests.OWN: manifests.own_digest(made)}


class Whole:
    """A sound bundle of two artifacts, whose parts may be changed before it is written."""

    def __init__(self):
        inside = {name: digests.digest_of_text(name) for name in ("a", "zarr.json")}
        self.dataset = artifact("dataset", digests.digest_of_files(inside), ".zarr", DATASET)
        self.pairs = artifact(
            "pairs", digests.digest_of_text("pairs"), ".parquet", {}, **{"../dataset.json": self.dataset}
        )
        self.files = {bundle.CONFIG: yaml.safe_dump(CONFIG), bundle.CRATE: "{}"}
        self.files |= {f"{HERE}dataset.zarr/{name}": name for name in inside}
        self.files[f"{HERE}probes/pairs.parquet"] = "pairs"
        self.listed = {"format": 1, "study": "tiny", "left_out": {}, "files": {}}

    def write(self, path):
        self.files[f"{HERE}dataset.json"] = manifests.text_of(self.dataset)
        self.files[f"{HERE}probes/pairs.json"] = manifests.text_of(self.pairs)
        about = {
            name: {"sha256": digests.digest_of_text(text), "bytes": len(text.encode())}
            for name, text in self.files.items()
        }
        self.listed["files"] = about | self.listed["files"]
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in {**self.files, bundle.LISTED: json.dumps(self.listed)}.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(info, text)
        return path

    def sign(self):
        for made in (self.dataset, self.pairs):
            made[manifests.OWN] = manifests.own_digest(made)


def refused(whole, path, said):
    with pytest.raises(ModelkinError, match=said) as caught:
        bundle.Bundle(whole.write(path / "x.zip"))
    assert [each.name for each in path.iterdir()] == ["x.zip"]
    assert "is refused: " in str(caught.value)
    assert str(caught.value).endswith("; nothing was written.")


def test_a_sound_one_is_taken(tmp_path):
    found = bundle.Bundle(Whole().write(tmp_path / "x.zip"))
    assert (found.name, found.left_out, sorted(found.manifests)) == (
        "tiny",
        [],
        ["dataset.json", "probes/pairs.json"],
    )
    found.extract(tmp_path / "all")
    assert (tmp_path / "all" / "dataset.zarr" / "a").read_text() == "a"
    assert not (tmp_path / "all" / "config.yaml").exists(), "only what is of the study is written"
    found.extract(tmp_path / "one", lambda name: name == "dataset.json")
    assert [path.name for path in (tmp_path / "one").rglob("*")] == ["dataset.json"]


def member(name, **changes):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    for key, value in changes.items():
        setattr(info, key, value)
    return info


UNSAFE = {
    # Newer versions of Python take a member's name from an extra field, too.
    "another name in the archive's directory": (member("a", filename="b"), "not a usable path"),
    "a NUL": (member("a", orig_filename="a\0b"), "not a usable path"),
    "a line end": (member("a\nb"), "not a usable path"),
    "the other system's separator": (member("a\\b"), "not a usable path"),
    "a drive": (member("c:a"), "not a usable path"),
    "the root": (member("/a"), "leads out"),
    "above": (member("a/../b"), "leads out"),
    "a dot": (member("./a"), "leads out"),
    "a folder": (member("a/"), "leads out"),
    "encrypted": (member("a", flag_bits=1), "encrypted"),
    "compressed": (member("a", compress_type=zipfile.ZIP_DEFLATED), "compressed"),
    "sizes that differ": (member("a", compress_size=1), "compressed"),
    "sizes that differ, the other way": (member("a", file_size=1), "compressed"),
}
UNSAFE |= {
    f"kind {kind:o}": (member("a", external_attr=kind << 16), "is a link, a device or a folder")
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR)
}


@pytest.mark.parametrize("what", UNSAFE)
def test_a_member_that_is_no_plain_file(what, tmp_path):
    info, said = UNSAFE[what]
    (tmp_path / "x").write_bytes(bytes(100))
    with pytest.raises(ModelkinError, match=said):
        opening._checked_members(tmp_path / "x", [info])


def test_kinds_that_are_files(tmp_path):
    """Archives of systems that know no kinds have none."""
    (tmp_path / "x").write_bytes(bytes(100))
    infos = [member(name) for name in (bundle.CONFIG, bundle.LISTED, bundle.CRATE)]
    infos.append(member("a", external_attr=0, flag_bits=0x800))
    assert len(opening._checked_members(tmp_path / "x", infos)) == 4


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a/b", "A/B"), "stands there twice"),
        (("a", "a/b"), "is in a file"),
        (("a/b", "A"), "is in a file"),
        (("A/b", "a"), "is in a file"),
        (("a/b/c", "a"), "is in a file"),
        ((), "lacks bundle.json"),
    ],
)
def test_names_that_do_not_go_together(names, said, tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    needed = (bundle.CONFIG, bundle.LISTED, bundle.CRATE) if names else (bundle.CONFIG, bundle.CRATE)
    with pytest.raises(ModelkinError, match=said):
        opening._checked_members(tmp_path / "x", [member(name) for name in (*names, *needed)])


@pytest.mark.parametrize("lacks", [bundle.CONFIG, bundle.LISTED, bundle.CRATE])
def test_each_part_is_needed(lacks, tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    infos = [member(name) for name in (bundle.CONFIG, bundle.LISTED, bundle.CRATE) if name != lacks]
    with pytest.raises(ModelkinError, match=f"lacks {lacks}"):
        opening._checked_members(tmp_path / "x", infos)


@pytest.mark.parametrize(("sizes", "fits"), [((50, 50), True), ((50, 51), False), ((101, 0), False)])
def test_sizes_are_added_up(sizes, fits, tmp_path):
    (tmp_path / "x").write_bytes(bytes(100))
    infos = [member(bundle.CRATE), member(bundle.CONFIG), member(bundle.LISTED)]
    infos += [member(f"m{i}", file_size=size, compress_size=size) for i, size in enumerate(sizes)]
    if fits:
        assert len(opening._checked_members(tmp_path / "x", infos)) == 5
    else:
        with pytest.raises(ModelkinError, match="claims more than it holds"):
            opening._checked_members(tmp_path / "x", infos)


LISTS = {
    "not a mapping": (lambda listed: [], "is not of format 1"),
    "another format": (lambda listed: listed | {"format": 2}, "is not of format 1"),
    "no name": (lambda listed: listed | {"study": None}, "names no usable study"),
    "a name that leads out": (lambda listed: listed | {"study": "../tiny"}, "names no usable study"),
    "a name that ends the line": (lambda listed: listed | {"study": "tiny\n"}, "names no usable study"),
    "a name that is hidden": (lambda listed: listed | {"study": ".tiny"}, "names no usable study"),
    "nothing of what was left out": (lambda listed: listed | {"left_out": []}, "lacks a part"),
    "no files": (lambda listed: listed | {"files": []}, "lacks a part"),
    "a file that is not told": (lambda listed: listed["files"].update(a=None), "does not fit 'a'"),
    "a file that is not there": (lambda listed: listed["files"].update(x={"bytes": 1}), "does not fit 'x'"),
    "another size": (lambda listed: listed["files"].update(a={"bytes": 2}), "does not fit 'a'"),
    "no size": (lambda listed: listed["files"].update(a={}), "does not fit 'a'"),
    "not all files": (lambda listed: listed["files"].clear(), "does not name"),
    "beside the study": (lambda listed: None, "belongs to no study"),
}


@pytest.mark.parametrize("what", LISTS)
def test_lists_that_do_not_fit(what):
    change, said = LISTS[what]
    names = [bundle.CONFIG, bundle.CRATE, "results/tiny/a", "a"]
    infos = {name: member(name, file_size=1) for name in (bundle.LISTED, *names)}
    listed = {"format": 1, "study": "tiny", "left_out": {}, "files": {name: {"bytes": 1} for name in names}}
    changed = change(listed)
    with pytest.raises(ModelkinError, match=said):
        opening._checked_list(listed if changed is None else changed, infos)


@pytest.mark.parametrize("name", ["results/tiny", "results/tiny2/a", "results/a", "result", "bundle.json.x"])
def test_names_beside_the_study(name):
    names = [bundle.CONFIG, bundle.CRATE, name]
    infos = {each: member(each, file_size=1) for each in (bundle.LISTED, *names)}
    listed = {"format": 1, "study": "tiny", "left_out": {}, "files": {each: {"bytes": 1} for each in names}}
    with pytest.raises(ModelkinError, match="belongs to no study"):
        opening._checked_list(listed, infos)


def with_text(name, text):
    def change(whole):
        whole.files[name] = text

    return change


def with_made(which, sign=True, **changes):
    def change(whole):
        getattr(whole, which).update(changes)
        if sign:
            whole.sign()

    return change


def with_list(**changes):
    def change(whole):
        whole.listed.update(changes)

    return change


def with_digest(value):
    def change(whole):
        whole.listed["files"][bundle.CRATE] = {"bytes": 2} | ({"sha256": value} if value else {})

    return change


def circle(whole):
    """Two that are made of each other."""
    whole.dataset["inputs"] = {"probes/pairs.json": whole.pairs["digest"]}
    whole.pairs["manifests"] = whole.dataset["manifests"] = {}
    whole.sign()


def own_source(whole):
    """One that is made of itself."""
    whole.pairs["inputs"] = {"pairs.json": whole.pairs["digest"]}
    whole.pairs["manifests"] = {}
    whole.sign()


def left_out(whole, mark=None):
    """The pairs without their store, as a bundle has them that came without."""
    del whole.files[f"{HERE}probes/pairs.parquet"]
    whole.files[f"{HERE}probes/pairs.left_out"] = mark or f"{whole.pairs['digest']}\n"
    whole.listed["left_out"] = {"probes/pairs.json": {}}


CONTENT = {
    "another digest": (with_digest("0" * 64), "not what its digest says"),
    "no digest": (with_digest(None), "not what its digest says"),
    "a config of aliases": (
        with_text(bundle.CONFIG, "study: tiny\na: &a [1]\nb: *a\n"),
        r"config.yaml is no usable YAML .it has aliases",
    ),
    "a config of code": (
        with_text(bundle.CONFIG, "study: !!python/name:os.system\n"),
        "config.yaml is no usable YAML",
    ),
    "a config of no date": (with_text(bundle.CONFIG, "study: 2026-99-99\n"), "config.yaml is no usable YAML"),
    "a config without an end": (with_text(bundle.CONFIG, "[" * 10**4), "nested more than 50 deep"),
    "a config of what it is not": (with_text(bundle.CONFIG, "study: !!bool tiny"), "is no usable YAML"),
    "a config of a list": (with_text(bundle.CONFIG, "[tiny]"), "is not the config of the study 'tiny'"),
    "a config of another study": (
        with_text(bundle.CONFIG, yaml.safe_dump({**CONFIG, "study": "other"})),
        "is not the config of the study 'tiny'",
    ),
    "a config that is wrong": (
        with_text(bundle.CONFIG, yaml.safe_dump({**CONFIG, "seeds": 1})),
        "its config is not valid",
    ),
    "another store": (with_text(f"{HERE}dataset.zarr/a", "b"), "dataset.json is damaged"),
    "another manifest": (with_made("pairs", sign=False, version=3), "pairs.json is damaged"),
    "a file of nothing": (with_text(f"{HERE}more", "x"), "more is orphaned"),
    "said to be left out": (with_list(left_out={"dataset.json": {}}), "left out is not what is missing"),
    "an input that is not there": (
        with_made("pairs", inputs={"../none.json": "0"}, manifests={}),
        "none.json, of which probes/pairs.json was made, is not in it",
    ),
    "made of other bytes": (
        with_made("pairs", inputs={"../dataset.json": "0" * 64}),
        "is stale",
    ),
    "made beside another manifest": (
        with_made("pairs", manifests={"../dataset.json": "0" * 64}),
        "dataset.json is not the manifest that probes/pairs.json was made beside",
    ),
    "made beside a manifest that is not there": (
        with_made("pairs", manifests={"../none.json": "0"}),
        "none.json is not the manifest that probes/pairs.json was made beside",
    ),
    "made of each other": (circle, "were made of themselves"),
    "made of itself": (own_source, "were made of themselves"),
    "facts of another type": (
        with_made("pairs", stage="tables", facts={"rows": "3"}),
        "the facts of probes/pairs.json are not those of its stage: rows '3' is not of type",
    ),
    "a mark of another store": (lambda whole: left_out(whole, "0\n"), "pairs.left_out is damaged"),
}


@pytest.mark.parametrize("what", CONTENT)
def test_content_that_is_refused(what, tmp_path):
    change, said = CONTENT[what]
    whole = Whole()
    change(whole)
    refused(whole, tmp_path, said)


def test_a_list_that_is_no_json(tmp_path):
    whole = Whole()
    whole.write(tmp_path / "x.zip")
    for text in ("{", "[" * 10**5):
        with zipfile.ZipFile(tmp_path / "x.zip") as old, zipfile.ZipFile(tmp_path / "y.zip", "w") as new:
            for info in old.infolist():
                new.writestr(info, text if info.filename == bundle.LISTED else old.read(info))
        with pytest.raises(ModelkinError, match=r"bundle.json is not JSON; nothing was written"):
            bundle.Bundle(tmp_path / "y.zip")


def test_what_is_read_into_memory_is_not_large(tmp_path, monkeypatch):
    path = Whole().write(tmp_path / "x.zip")
    largest = max(info.file_size for info in zipfile.ZipFile(path).infolist())
    monkeypatch.setattr(opening, "READABLE", largest)
    assert bundle.Bundle(path).name == "tiny"
    monkeypatch.setattr(opening, "READABLE", largest - 1)
    with pytest.raises(ModelkinError, match="is too large"):
        bundle.Bundle(path)


def test_a_config_is_smaller_still(tmp_path, monkeypatch):
    path = Whole().write(tmp_path / "x.zip")
    size = len(yaml.safe_dump(CONFIG).encode())
    monkeypatch.setattr(opening, "LARGEST_CONFIG", size)
    assert bundle.Bundle(path).name == "tiny"
    monkeypatch.setattr(opening, "LARGEST_CONFIG", size - 1)
    with pytest.raises(ModelkinError, match="config.yaml is too large"):
        bundle.Bundle(path)


@pytest.mark.parametrize(
    "error",
    [zipfile.BadZipFile("no"), EOFError("no"), NotImplementedError("no"), OSError("no")],
    ids=repr,
)
def test_archives_that_cannot_be_read(tmp_path, monkeypatch, error):
    """Whatever the library says of them, it is a sentence, and no longer than that."""
    path = Whole().write(tmp_path / "x.zip")
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises(ModelkinError, match=r"x.zip is damaged or not a bundle .*no.*; ask for it again"):
        bundle.Bundle(path)


def test_a_config_that_is_no_text(tmp_path, monkeypatch):
    path, read = Whole().write(tmp_path / "x.zip"), zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile,
        "read",
        lambda archive, info: b"\xff" if info.filename == bundle.CONFIG else read(archive, info),
    )
    with pytest.raises(ModelkinError, match="is damaged or not a bundle .*can't decode byte"):
        bundle.Bundle(path)


def test_facts_that_the_config_cannot_be_read_beside(tmp_path, monkeypatch):
    """What is asked of facts beyond their types may be missing: a sentence all the same."""
    path = Whole().write(tmp_path / "x.zip")
    for error in (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError):
        monkeypatch.setattr(opening, "Study", lambda *_, error=error, **__: (_ for _ in ()).throw(error("x")))
        with pytest.raises(ModelkinError, match=f"do not go together .{error.__name__}.; nothing was"):
            bundle.Bundle(path)


def test_what_was_left_out_is_told(tmp_path):
    whole = Whole()
    left_out(whole)
    assert bundle.Bundle(whole.write(tmp_path / "x.zip")).left_out == ["probes/pairs.json"]


def test_entries_that_reach_out_are_untrusted(tmp_path):
    whole = Whole()
    whole.files[bundle.CONFIG] = yaml.safe_dump({**CONFIG, "components": {"file": "/dev/zero"}})
    found = bundle.Bundle(whole.write(tmp_path / "x.zip"))
    assert found.config["components"] == {"file": "/dev/zero", "untrusted": True}


# where it is put


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
