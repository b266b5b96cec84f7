"""A config that somebody else wrote: what it would run or reach for, and that nothing does before it may."""

import copy

import pytest
import yaml
from conftest import TINY

from modelkin.errors import ModelkinError
from modelkin.jobs import load_configured_model
from modelkin.study import untrusted
from modelkin.study.config import Study

OWN = {"name": "own", "source": "file", "architecture": "nets.py:small", "weights": "/etc/passwd"}
REACHING = {
    "own": (OWN, ["runs the code of nets.py", "reads /etc/passwd (an absolute path)"]),
    "pickle": (
        {"source": "timm", "architecture": "resnet18", "weights": "../x.pt", "trust_pickle": True},
        ["reads ../x.pt (outside of this folder)", "runs the code in ../x.pt (outside of this folder)"],
    ),
    "hub": ({"source": "timm", "architecture": "hf-hub:a/b"}, ["downloads hf-hub:a/b of timm"]),
    "hub and file": (
        {"source": "timm", "architecture": "hf-hub:a/b", "weights": "x.pt"},
        ["downloads hf-hub:a/b of timm", "reads x.pt"],
    ),
    "file like a name": (
        {"source": "timm", "architecture": "resnet18", "weights": "DEFAULT"},
        ["reads DEFAULT"],
    ),
    "file that begins like a name": (
        {"source": "torchvision", "architecture": "swin_t", "weights": "DEFAULT.pth"},
        ["reads DEFAULT.pth"],
    ),
    "home": (
        {"source": "timm", "architecture": "resnet18", "weights": "~/x.pt"},
        ["reads ~/x.pt (outside of this folder)"],
    ),
    "nothing that can be named": ({"source": "file", "architecture": "a"}, ["takes 'a' of source 'file'"]),
    "nothing of robustness": (
        {"source": "robustness", "architecture": "a"},
        ["takes 'a' of source 'robustness'"],
    ),
    "options in lists": (
        {"source": "timm", "architecture": "a", "options": {"x": [1, "plain", "a/b"], "y": "plain"}},
        ["downloads a of timm", "gives it 'a/b'"],
    ),
    "name of weights": (
        {"source": "torchvision", "architecture": "swin_t", "weights": "DEFAULT"},
        ["downloads swin_t of torchvision"],
    ),
    "folder": ({"source": "timm", "architecture": "local-dir:/a"}, ["reads /a (an absolute path)"]),
    "name": ({"source": "torchvision", "architecture": "swin_t"}, ["downloads swin_t of torchvision"]),
    "option": (
        {"source": "robustbench", "architecture": "A", "options": {"model_dir": "~/x"}},
        ["downloads A of robustbench", "gives it '~/x'"],
    ),
    "robustness": (
        {"source": "robustness", "architecture": "imagenet/resnet18", "weights": "x"},
        ["reads x"],
    ),
}


def config_of(*models, **changes):
    return {**copy.deepcopy(TINY), "models": [*TINY["models"], *models], **changes}


@pytest.mark.parametrize("name", REACHING)
def test_what_a_model_reaches_for_is_named(name):
    entry, does = REACHING[name]
    config = config_of({"name": name, **entry})
    assert [(each.name, each.does) for each in untrusted.reaching_entries(config)] == [(name, does)]
    assert [each for each in untrusted.marked_untrusted(config)["models"] if "untrusted" in each] == [
        {"name": name, **entry, "untrusted": True}
    ]


def test_datasets_and_tables_reach_out_too():
    config = config_of(
        dataset={"name": "npz", "test": "/a.npz", "train": "b.npz"},
        other_datasets=[
            {"label": "o", "name": "torchvision", "dataset": "svhn", "root": "d", "download": True}
        ],
        imported=[{"label": "i", "file": "/dev/zero"}],
        components={"file": "c.csv"},
    )
    assert {each.name: each.does for each in untrusted.reaching_entries(config)} == {
        "dataset": ["reads /a.npz (an absolute path)", "reads b.npz"],
        "o": ["reads d", "downloads svhn"],
        "i": ["reads /dev/zero (an absolute path)"],
        "components": ["reads c.csv"],
    }


def test_every_file_of_a_dataset_is_named():
    listed = [
        {"label": "a", "name": "folders", "test": "t", "train": "u", "root": "r", "classes": "c.txt"},
        {"label": "b", "name": "torchvision", "dataset": "svhn"},
        {"label": "c", "name": "digits"},
    ]
    config = untrusted.marked_untrusted(config_of(OWN, other_datasets=listed))
    does = {
        "own": ["runs the code of nets.py", "reads /etc/passwd (an absolute path)"],
        "a": ["reads t", "reads u", "reads r", "reads c.txt"],
        "b": ["reads the dataset 'torchvision'"],
    }
    assert {each.name: each.does for each in untrusted.reaching_entries(config)} == does
    assert {each.name: each.does for each in untrusted.still_untrusted(config)} == does


def test_what_reaches_for_nothing_is_not_marked():
    none = {"name": "none", "source": "none"}
    assert untrusted.marked_untrusted(config_of(none))["models"][-1] == none
    assert untrusted.marked_untrusted(TINY) == TINY
    marked = [{**entry, "untrusted": True} for entry in TINY["models"]]
    assert untrusted.marked_untrusted({**TINY, "models": marked}) == TINY, "what is ours needs no trust"
    assert (
        untrusted.marked_untrusted(config_of({**OWN, "untrusted": False}))["models"][-1]["untrusted"] is True
    )


@pytest.mark.parametrize("garbage", [None, 3, "x", [1], {"models": {}}, [{"name": []}]])
def test_a_config_of_any_shape_can_be_marked(garbage):
    for key in ("models", "dataset", "other_datasets", "imported", "components"):
        untrusted.marked_untrusted({**TINY, key: garbage})


def test_nothing_untrusted_is_opened(tmp_path, monkeypatch):
    """Of files that are there and cannot be read, or would never end, nothing is asked."""
    monkeypatch.chdir(tmp_path)
    config = untrusted.marked_untrusted(
        config_of(
            {**OWN, "architecture": "nets.txt:x"},
            imported=[{"label": "i", "file": "/dev/zero"}],
            components={"file": "/dev/zero"},
        )
    )
    study = Study(config)
    said = study.missing()
    assert {key.removesuffix(".json") for key in said} == {"models/own", "imported/i", "tables/components"}
    assert all("is untrusted; look at its entry" in each for each in said.values())
    assert (study.weights_file("own"), study.outside()) == ([], {"dataset.json": []})
    dataset = {"name": "npz", "test": "/dev/zero"}
    with pytest.raises(
        ModelkinError, match="lacks its dataset, and 'dataset' came in a bundle and is untrusted"
    ):
        Study(untrusted.marked_untrusted(config_of(dataset=dataset)))


def test_an_untrusted_dataset_that_was_taken_in_need_not_be_opened():
    dataset = {"name": "npz", "test": "/dev/zero", "train": "/dev/zero"}
    facts = {"images": {"test": 100, "train": 200}, "classes": list("abc"), "shape": [1, 8, 8]}
    made = {"tiny/dataset.json": {"settings": {"dataset": dataset}, "facts": facts}}
    study = Study(untrusted.marked_untrusted(config_of(dataset=dataset)), made.get)
    assert study.counts["npz"]["test"] == 100
    assert study.outside() == {}
    assert "is untrusted; look at its entry" in study.missing()["dataset.json"]


def test_a_mark_changes_no_settings():
    marked = untrusted.marked_untrusted(config_of({**OWN, "source": "timm", "architecture": "resnet18"}))
    assert "untrusted" not in Study(marked).entry("own")


def test_an_untrusted_model_is_not_loaded(tmp_path):
    with pytest.raises(ModelkinError, match="model 'own' came in a bundle and is untrusted"):
        load_configured_model({"models": [{**OWN, "untrusted": True}]}, tmp_path / "own.json", "cpu")


TEXT = """\
# mine
study: tiny
models:
  - {name: a, source: file, untrusted: true}  # untrusted: true
  - name: b
    untrusted: true
    source: timm
imported:
  - {label: b, file: x, untrusted: true}
dataset: {name: npz, test: x, "untrusted": true}
"""


def test_trust_changes_one_word(tmp_path):
    (tmp_path / "c.yaml").write_text(TEXT)
    (trusted,) = untrusted.trust_in_file(tmp_path / "c.yaml", ["a"])
    assert trusted.name == "a"
    assert (tmp_path / "c.yaml").read_text() == TEXT.replace(
        "file, untrusted: true", "file, untrusted: false"
    )
    text, _ = untrusted.trust_entries(TEXT, ["dataset", "a"])
    assert text == TEXT.replace("file, untrusted: true", "file, untrusted: false").replace(
        '"untrusted": true', '"untrusted": false'
    )
    with pytest.raises(ModelkinError, match="must hold keys and values"):
        untrusted.trust_entries("[a]", ["a"])
    assert [each.name for each in untrusted.still_untrusted(yaml.safe_load(text))] == ["b", "b"]
    with pytest.raises(ModelkinError, match="two untrusted entries are called 'b'"):
        untrusted.trust_entries(TEXT, ["b"])
    with pytest.raises(ModelkinError, match="unknown untrusted entry 'c'"):
        untrusted.trust_entries(TEXT, ["c"])
