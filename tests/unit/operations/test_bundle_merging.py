"""Two studies put together: what comes of which, and nothing if it does not go well."""

import copy
import json

import pytest
import yaml
from conftest import TINY
from small_bundle import CONFIG, HERE, artifact

from modelkin.errors import ModelkinError
from modelkin.operations import verify
from modelkin.operations.bundle import merging, placing
from modelkin.store import digests, manifests
from modelkin.study.config import Study

DIGEST = digests.digest_of_text("x")
DATA = artifact("dataset", DIGEST, ".txt", {"images": {"test": 1}, "classes": ["a"], "shape": [1, 8, 8]})
NATURAL = artifact("natural", DIGEST, ".txt", {}, **{"../dataset.json": DATA})


class Part:
    """A study of a model and one of no artifacts, with the artifacts of the first and what all share."""

    def __init__(self, name, changes=None, more=None):
        names = (name, f"{name}2")
        models = [{**TINY["models"][0], "name": name} for name in names]
        self.config = {**CONFIG, "models": models, **(changes or {})}
        self.study = Study(self.config)
        self.manifests: dict = {"dataset.json": DATA, "probes/natural.json": NATURAL}
        made = artifact("similarity", DIGEST, ".txt", {"of": name}, **{"../dataset.json": DATA})
        self.manifests |= {f"similarity/{name}.json": made, **(more or {})}
        texts = {name: manifests.text_of(made) for name, made in self.manifests.items()}
        files = {name.replace(".json", ".txt"): DIGEST for name in texts}
        self.content = verify.Content({**dict.fromkeys(texts, "0"), **files}, texts)

    def extract(self, folder, keep):
        for name in filter(keep, self.content.digests):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(self.content.texts.get(name, "x"))


@pytest.fixture
def asked(monkeypatch):
    """What Snakemake is asked: it finds what it is told to find, and records all."""

    def answer(folder, study, *arguments):
        answer.said.append(arguments)
        if arguments[0] == "verify":
            told = folder / "results" / study / "logs" / "verify.jsonl"
            told.parent.mkdir(exist_ok=True)
            told.write_text("".join(json.dumps(each) + "\n" for each in answer.findings))
        return placing.subprocess.CompletedProcess(arguments, answer.status, "no reason")

    answer.findings, answer.status, answer.said = [], 0, []
    monkeypatch.setattr(placing, "_snakemake", answer)
    return answer


def merge(monkeypatch, folder, one, two, name="both"):
    monkeypatch.setattr(merging, "_opened", {"one": one, "two": two}.__getitem__)
    return merging.merge_studies("one", "two", name, folder)


def artifacts(folder):
    results = folder / "results" / "both"
    return {path.relative_to(results).as_posix() for path in results.rglob("*.json")}


def test_what_both_have_is_the_first_one_s(tmp_path, asked, monkeypatch):
    one, two = Part("a"), Part("b", more={"probes/pairs.json": artifact("pairs", DIGEST, ".txt", {})})
    text = merge(monkeypatch, tmp_path, one, two)
    assert artifacts(tmp_path) == {*one.manifests, *two.manifests}
    assert all(path.read_text() == "x" for path in tmp_path.rglob("*.txt"))
    config = yaml.safe_load((tmp_path / "both.yaml").read_text())
    assert ([each["name"] for each in config["models"]], config["study"]) == (["a", "a2", "b", "b2"], "both")
    assert "5 artifacts of the two studies, 0 to be made anew" in text
    assert {each.removeprefix(HERE.replace("tiny", "both")) for each in asked.said[-1][2:]} == {
        *one.manifests,
        *two.manifests,
    }


def test_what_the_new_config_makes_otherwise_goes_with_all_that_was_made_of_it(tmp_path, asked, monkeypatch):
    one = Part("a")
    of_b = artifact("x", DIGEST, ".txt", {}, **{"../similarity/b.json": one.manifests["similarity/a.json"]})
    last = artifact("y", DIGEST, ".txt", {}, **{"b.json": of_b})
    two = Part("b", more={"tables/b.json": of_b, "tables/c.json": last})
    asked.findings = [
        ["similarity/b.json", "stale", "of other models"],
        ["similarity/c.json", "missing", "it is not there"],
    ]
    text = merge(monkeypatch, tmp_path, one, two)
    assert artifacts(tmp_path) == {"dataset.json", "probes/natural.json", "similarity/a.json"}
    assert "3 artifacts of the two studies, 3 to be made anew" in text
    assert len(asked.said[-1][2:]) == 3
    assert not (tmp_path / "results" / "both" / "similarity" / "b.txt").exists()


@pytest.mark.parametrize("results", [False, True])
def test_what_cannot_be_recorded_leaves_nothing(tmp_path, asked, monkeypatch, results):
    if results:
        (tmp_path / "results" / "other").mkdir(parents=True)
    asked.status = 1
    with pytest.raises(ModelkinError, match="cannot go on with the study 'both'"):
        merge(monkeypatch, tmp_path, Part("a"), Part("b"))
    assert [each.name for each in tmp_path.rglob("*")] == (["results", "other"] if results else [])


def test_an_interrupted_merge_leaves_nothing(tmp_path, asked, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(merging, "_drop_stale", interrupted)
    with pytest.raises(KeyboardInterrupt):
        merge(monkeypatch, tmp_path, Part("a"), Part("b"))
    assert not list(tmp_path.iterdir())


def other_dataset():
    return Part("b", more={"dataset.json": DATA | {"digest": "0"}})


def without_probes():
    two = Part("b")
    del two.manifests["probes/natural.json"]
    return two


@pytest.mark.parametrize(
    ("two", "name", "said"),
    [
        (lambda: Part("a"), "both", "both studies have a model 'a'"),
        (lambda: Part("b"), "../both", "'../both' is not usable as a name"),
        (lambda: Part("b"), "both\n", "is not usable as a name"),
        (lambda: Part("b"), "config", "cannot be called 'config'"),
        (other_dataset, "both", "differ in dataset.json, so their models saw other images"),
        (without_probes, "both", "differ in probes/natural.json"),
        (
            lambda: Part("b", changes={"dataset": {**CONFIG["dataset"], "label": "more"}}),
            "both",
            "call their datasets otherwise",
        ),
    ],
)
def test_what_cannot_be_one_writes_nothing(tmp_path, asked, monkeypatch, two, name, said):
    with pytest.raises(ModelkinError, match=said):
        merge(monkeypatch, tmp_path, Part("a"), two(), name)
    assert not asked.said
    assert not list(tmp_path.iterdir())


def test_probes_that_neither_has_are_not_the_same(tmp_path, asked, monkeypatch):
    one, two = Part("a"), without_probes()
    del one.manifests["probes/natural.json"]
    with pytest.raises(ModelkinError, match="differ in probes/natural.json"):
        merge(monkeypatch, tmp_path, one, two)


@pytest.mark.parametrize("turned", [False, True])
def test_models_without_weights_stay_where_they_are(tmp_path, asked, monkeypatch, turned):
    """Of them no table of the other study knows."""
    one, two = Part("a"), Part("b")
    two.study = copy.copy(two.study)
    two.study.models = {**two.study.models, "c": {"source": "none"}}
    with pytest.raises(ModelkinError, match="has models of source 'none'"):
        merge(monkeypatch, tmp_path, *((two, one) if turned else (one, two)))


def test_the_mark_of_what_was_left_out_comes_along(tmp_path, asked, monkeypatch):
    one, two = Part("a"), Part("b")
    del two.content.digests["similarity/b.txt"]
    two.content.digests["similarity/b.left_out"] = digests.digest_of_text(f"{DIGEST}\n")
    merge(monkeypatch, tmp_path, one, two)
    made = tmp_path / "results" / "both" / "similarity"
    assert sorted(each.name for each in made.iterdir()) == ["a.json", "a.txt", "b.json", "b.left_out"]


def test_a_folder_is_read_beside_its_config(tmp_path):
    results = tmp_path / "results" / "tiny"
    Part("a").extract(results, lambda name: True)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(CONFIG))
    found = merging._opened(tmp_path / "study.yaml")
    assert isinstance(found, merging.Folder)
    assert found.manifests == Part("a").manifests
    found.extract(tmp_path / "some", lambda name: name.startswith("dataset"))
    assert sorted(each.name for each in (tmp_path / "some").iterdir()) == ["dataset.json", "dataset.txt"]
    (results / "more.txt").write_text("what belongs to nothing does not matter")
    assert merging.Folder(tmp_path / "study.yaml").manifests
    (results / "dataset.txt").write_text("y")
    with pytest.raises(ModelkinError, match="cannot be merged: dataset.json is damaged"):
        merging.Folder(tmp_path / "study.yaml")
