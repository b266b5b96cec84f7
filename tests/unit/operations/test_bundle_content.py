"""What stands in a bundle: each check by a small bundle that only this check refuses."""

import zipfile

import pytest
import yaml
from small_bundle import CONFIG, HERE, Whole

from modelkin.errors import ModelkinError
from modelkin.operations import bundle
from modelkin.operations.bundle import opening


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
