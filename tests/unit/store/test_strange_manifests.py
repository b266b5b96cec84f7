"""Manifests that a stranger may have written, digests in order: each thing that is relied on is looked at."""

import copy
import json

import pytest

from modelkin.errors import ModelkinError
from modelkin.store import digests, facts_schema, manifests

FILE, NAME = {"sha256": "0", "bytes": 1, "files": 1}, {"revision": "a"}
DATASET = {"images": {"test": 1}, "classes": ["a"], "shape": [1, 8, 8], "modes": {"a": 3}}
SOUND = {
    **{"stage": "dataset", "version": 2, "settings": {"a": 1}, "inputs": {"a.json": "0"}},
    **{"manifests": {"a.json": "1"}, "digest": "2", "suffix": ".zarr", "facts": DATASET},
    **{"software": {"torch": "2"}, "device": "cpu", "outside": {"x": FILE, "y": NAME}},
}


def text(**changes):
    """The text of a manifest whose own digest is right; a change to ... leaves the key out."""
    made = {key: value for key, value in (SOUND | changes).items() if value is not ...}
    return manifests.text_of(made | {manifests.OWN: manifests.own_digest(made)})


WRONG = [
    *({key: value} for key in ("stage", "digest", "suffix") for value in (1, None, ["a"])),
    *({"version": value} for value in ("2", 2.0, None, True)),
    *(
        {key: value}
        for key in ("settings", "inputs", "manifests", "facts", "software")
        for value in ([], "a")
    ),
    *({key: {"a": value}} for key in ("inputs", "manifests", "software") for value in (1, None, {})),
    *({"suffix": value} for value in ("/../x", "x", ".zarr\n", ".ZARR", ".a.b", "./x", ".")),
    *({"device": value} for value in (1, None, ["cpu"])),
    *({"outside": value} for value in ([], None, "x", {"x": None}, {"x": []}, {"x": {}}, {"x": "0"})),
    *(
        {"outside": {"x": FILE | more}}
        for more in ({"more": 1}, {"bytes": "1"}, {"files": None}, {"sha256": 1})
    ),
    *({"outside": {"x": {key: FILE[key] for key in FILE if key != lacking}}} for lacking in FILE),
    *({"outside": {"x": value}} for value in ({"revision": 1}, {"revision": "a", "more": 1})),
    {"outside": {"x": FILE, "y": None}},
]


def test_a_sound_one_is_read(tmp_path):
    assert manifests.parse_intact(text())["outside"] == {"x": FILE, "y": NAME}
    assert manifests.parse_intact(text(outside=..., device=...)), "which not all have"
    assert manifests.parse_intact(text(suffix="")), "of a folder of files"
    (tmp_path / "x.json").write_text(text())
    assert manifests.read(tmp_path / "x.json")["facts"] == DATASET
    assert manifests.read_intact(tmp_path / "x.json") == manifests.read_sound(tmp_path / "x.json")


@pytest.mark.parametrize("changes", WRONG, ids=str)
def test_what_is_of_another_type_is_no_manifest(changes, tmp_path):
    assert manifests.parse_intact(text(**changes)) is None
    (tmp_path / "x.json").write_text(text(**changes))
    with pytest.raises(ModelkinError, match=r"x.json is not a manifest of modelkin; delete it"):
        manifests.read(tmp_path / "x.json")


@pytest.mark.parametrize("key", manifests.HOLDS)
def test_what_lacks_a_part_is_not_whole(key, tmp_path):
    assert manifests.parse_intact(text(**{key: ...})) is None
    (tmp_path / "x.json").write_text(text(**{key: ...}))
    if key in ("digest", "facts"):
        with pytest.raises(ModelkinError, match="is not a manifest"):
            manifests.read(tmp_path / "x.json")
    else:
        assert manifests.read(tmp_path / "x.json")["digest"] == "2", "older ones lack it"


def test_what_is_not_as_it_was_written(tmp_path):
    whole = text()
    for other in (
        whole.replace('"2"', '"3"'),
        whole + "\n",
        whole.replace("\n ", "\n  "),
        "[" * 10**5,
        "[]",
        "",
    ):
        assert manifests.parse_intact(other) is None
    content = json.loads(whole)
    del content[manifests.OWN]
    assert manifests.parse_intact(manifests.text_of(content)) is None, "its own digest is asked for"
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    assert manifests.read_intact(tmp_path / "x.json") is None
    with pytest.raises(ModelkinError, match=r"x.json is damaged .*; delete it"):
        manifests.read(tmp_path / "x.json")
    (tmp_path / "y.json").write_text("[" * 10**5)
    with pytest.raises(ModelkinError, match=r"y.json is damaged .*; delete it"):
        manifests.read(tmp_path / "y.json")
    (tmp_path / "z.json").mkdir()
    assert manifests.read_intact(tmp_path / "z.json") is None
    assert manifests.read_intact(tmp_path / "none.json") is None


@pytest.mark.parametrize("key", ["stage", "version", "settings", "inputs", "digest", "facts", "suffix"])
def test_identity_is_of_all_that_decided(key):
    assert manifests.identity(SOUND) != manifests.identity(SOUND | {key: "other"})
    elsewhere = {"software": {}, "device": "cuda", "manifests": {}, "outside": {}}
    assert manifests.identity(SOUND) == manifests.identity(SOUND | elsewhere)


def test_odd_facts_are_no_sound_manifest(tmp_path):
    path = tmp_path / "x.json"
    assert manifests.read_sound(path) is None
    path.write_text("{}")
    assert manifests.read_sound(path) is None
    path.write_text(text(facts={"images": 3}))
    assert manifests.read_intact(path)
    with pytest.raises(
        ModelkinError, match=r"the facts in .*x.json are not those of its stage .*; delete it"
    ):
        manifests.read_sound(path)
    path.write_text(text(facts={"images": 3}, stage="another"))
    assert manifests.read_sound(path)["facts"] == {"images": 3}


def test_the_first_damage_is_told(tmp_path):
    good = tmp_path / "good.json"
    (tmp_path / "good.txt").write_text("x")
    good.write_text(text(suffix=".txt", digest=digests.digest_of(tmp_path / "good.txt")))
    (tmp_path / "odd.json").write_text(text(facts={}))
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.txt").write_text("{")
    changed = tmp_path / "changed.json"
    (tmp_path / "changed.txt").write_text("y")
    changed.write_text(text(suffix=".txt"))

    def told(*names):
        found = manifests.first_damage(tmp_path / name for name in names)
        return found and str(found).replace(f"{tmp_path}/", "")

    assert told() is None
    assert told("good.json", "none.json", "bad.txt") is None
    assert told("good.json", "bad.json", "odd.json") == "bad.json is damaged; delete it and run again."
    assert told("good.json", "odd.json", "bad.json").startswith("the facts in odd.json are not those")
    assert told("changed.json").startswith(
        "changed.txt is damaged: it is not what was stored; delete changed"
    )
    (tmp_path / "changed.txt").unlink()
    assert told("changed.json") is None, "a store that is gone is another matter"


def test_stores_that_are_not_there_or_are_not_what_was_stored(tmp_path):
    path = tmp_path / "x.json"
    (tmp_path / "x.txt").write_text("x")
    path.write_text(text(suffix=".txt", digest=digests.digest_of(tmp_path / "x.txt")))
    assert manifests.store_of(path, ".txt") == manifests.verified_store_of(path, ".txt") == tmp_path / "x.txt"
    (tmp_path / "x.left_out").write_text("")
    assert manifests.store_of(path, ".txt") == tmp_path / "x.txt", "what is there was not left out"
    (tmp_path / "x.txt").write_text("y")
    with pytest.raises(ModelkinError, match=r"x.txt is damaged: it is not what was stored"):
        manifests.verified_store_of(path, ".txt")
    (tmp_path / "x.txt").unlink()
    with pytest.raises(ModelkinError, match=r"x.txt was left out of the bundle"):
        manifests.store_of(path, ".txt")
    (tmp_path / "x.left_out").unlink()
    with pytest.raises(ModelkinError, match=r"x.txt is missing although its manifest exists"):
        manifests.store_of(path, ".txt")


def test_what_is_made_anew_was_not_left_out(tmp_path):
    """Neither a mark nor the half store of a killed job stays."""
    path = tmp_path / "x.json"
    (tmp_path / "x.left_out").write_text("")
    (tmp_path / ".x.txt.partial").mkdir()
    (tmp_path / ".x.txt.partial" / "old").write_text("")
    about = {"suffix": ".txt", "stage": "test", "version": 1}
    made = manifests.write(
        path, lambda store: store.write_text("x"), **about, outside=dict, facts=lambda: {"n": 1}
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.json", "x.txt"]
    assert (made["facts"], "outside" in made, "device" in made) == ({"n": 1}, False, False)
    assert manifests.read_intact(path) == made
    watched = {"device": "cpu", "outside": lambda: {"y": NAME}}
    made = manifests.write(path, lambda store: store.write_text("x"), **about, **watched)
    assert (made["device"], made["outside"]) == ("cpu", {"y": NAME})
    (tmp_path / "x.left_out").write_text("")
    manifests.remove(path, ".txt")
    assert not list(tmp_path.iterdir())


def test_what_could_not_be_saved_leaves_nothing(tmp_path):
    def save(path):
        path.write_text("half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        manifests.write(tmp_path / "x.json", save, suffix=".txt", stage="t", version=1)
    assert not list(tmp_path.iterdir())


def test_a_manifest_alone_or_a_store_alone_is_not_current(tmp_path):
    path, made = tmp_path / "x.json", {"suffix": ".txt", "stage": "t", "version": 1, "settings": {}}
    manifests.write(path, lambda store: store.write_text("x"), **made)
    current = made | {"inputs": []}
    assert manifests.is_current(path, **current)
    assert not manifests.is_current(path, **current | {"stage": "u"})
    path.unlink()
    assert not manifests.is_current(path, **current)


MODEL = {
    **{"build": {"source": "timm"}, "source": "timm", "origin": "o", "weights": "w", "parameters": 1},
    **{"size": 8, "head": "fc", "multiply_adds": 1.5, "width": None, "mean": [0.5], "std": [1]},
    "split_points": [{"name": "a"}],
}
ODD = {
    "dataset": [
        *({key: ...} for key in ("images", "classes", "shape")),
        *(
            {"images": value}
            for value in (3, {}, {"test": "1"}, {"test": -1}, {"test": 2**40 + 1}, {"test": 1.5})
        ),
        {"images": {"test": 1, "train": "1"}},
        *({"classes": value} for value in ("a", [], [1], None)),
        *({"shape": value} for value in ("a", [8, 8], [1, 8, 8, 8], [0, 8, 8], [1, 8, "8"], [1, 8, -8])),
        *({"shape": [1, 8, 2**40 + 1]}, {"modes": []}, {"modes": {"a": "1"}}),
    ],
    "train": [
        *({key: ...} for key in ("build", "source", "origin", "weights", "parameters", "size", "head")),
        *({"build": value} for value in ("x", {}, {"source": 1})),
        *({key: 1} for key in ("source", "origin", "weights", "head")),
        *({key: value} for key in ("parameters", "size") for value in ("1", -1, None, 2**40 + 1, 0.5)),
        *({key: "1"} for key in ("multiply_adds", "width")),
        *({key: value} for key in ("mean", "std") for value in (1, ["1"], None)),
        *({"split_points": value} for value in (1, ["a"], [{}], [{"name": 1}])),
    ],
    "invert": [{"a": "1"}, {"a": [1]}],
    "tables": [{"columns": "a"}, {"columns": [1]}, {"rows": "1"}, {"rows": -1}, {"rows": 2**40 + 1}],
}
SOUND_FACTS = {"dataset": DATASET, "train": MODEL, "invert": {"a": 1, "b": 0.5, "c": None}}
SOUND_FACTS["tables"] = {"columns": ["a"], "rows": 0}
ALIKE = {
    **{"dataset": "dataset", "train": "train", "import": "train", "invert": "invert", "attack": "invert"},
    **dict.fromkeys(("evaluate", "tables", "similarity", "imported", "distill", "draws"), "tables"),
}


def test_every_stage_whose_facts_are_looked_at_is_here():
    assert facts_schema.FACTS.keys() == ALIKE.keys()


@pytest.mark.parametrize("stage", ALIKE)
def test_facts_of_each_stage(stage):
    sound = SOUND_FACTS[ALIKE[stage]]
    assert facts_schema.why_wrong(stage, sound) is None
    assert "is not of type 'object'" in facts_schema.why_wrong(stage, [])
    for changes in ODD[ALIKE[stage]]:
        facts = {key: value for key, value in (copy.deepcopy(sound) | changes).items() if value is not ...}
        said = facts_schema.why_wrong(stage, facts)
        assert said, changes
        assert "\n" not in said


def test_counts_may_be_large():
    assert facts_schema.why_wrong("dataset", DATASET | {"images": {"test": 2**40}}) is None


def test_what_is_wrong_is_told_shortly_and_where():
    assert facts_schema.why_wrong("dataset", DATASET | {"images": {"test": "x"}}).startswith(
        "images.test 'x'"
    )
    assert len(facts_schema.why_wrong("dataset", DATASET | {"images": {"test": "x\n" * 1000}})) == 200
    assert facts_schema.why_wrong("no stage", {"images": 3}) is None
