"""What is said of a study before anything runs: what is missing, and what does not fit to what was made."""

import copy

import pytest
from conftest import TINY

from modelkin.errors import ModelkinError
from modelkin.operations import before_running, stages
from modelkin.store import manifests, paths


def config(weights="own.pt"):
    entry = {"name": "own", "source": "file", "architecture": "nets.py:net", "weights": weights}
    return copy.deepcopy(TINY | {"models": [*TINY["models"], entry]})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text("def net(): pass")
    return tmp_path


def taken_in(study, version):
    """Write the manifest of the own model as taking it in would."""
    manifests.write(
        paths.study_folder("tiny") / paths.model("own"),
        lambda store: store.mkdir(),
        stage="import_model",
        version=version,
        settings={"entry": study.entry("own"), "resize": study.resizing},
        facts={},
        inputs=[],
    )


def test_a_checkpoint_may_go_when_its_model_was_taken_in_as_the_config_says(folder):
    study = before_running.configured_study(config())
    gone = "the checkpoint of model 'own', own.pt, does not exist; put it there."
    assert before_running.look(study).sentences() == [f"before it can run: {gone}"]
    taken_in(study, stages.get("import_model").version)
    assert before_running.look(before_running.configured_study(config())).sentences() == []
    other = before_running.look(before_running.configured_study(config("new.pt")))
    assert other.lacking() == [gone.replace("own.pt", "new.pt")], "it is to be taken in anew"


def test_a_checkpoint_is_asked_for_again_by_a_later_version_of_the_stage(folder):
    taken_in(before_running.configured_study(config()), stages.get("import_model").version - 1)
    (said,) = before_running.look(before_running.configured_study(config())).sentences()
    assert "own.pt, does not exist" in said


@pytest.mark.parametrize("facts", [{}, {"images": 3}, {"images": {"test": 9}, "classes": [1], "shape": "x"}])
def test_facts_of_garbage_are_named_before_anything_runs(folder, facts):
    """All digests are in order; whoever wrote them knew how they are made."""
    manifest = paths.study_folder("tiny") / paths.dataset("")
    settings = {"dataset": TINY["dataset"]}
    said = {"stage": "dataset", "version": 2, "settings": settings, "facts": facts}
    manifests.write(manifest, lambda store: store.mkdir(), **said)
    with pytest.raises(ModelkinError, match=r"the facts in results/tiny/dataset.json are not those of its"):
        before_running.configured_study(config())
    assert "delete it and run again" in str(manifests.first_damage([manifest]))


def test_a_wrong_config_is_refused(folder):
    with pytest.raises(ModelkinError, match="unknown key"):
        before_running.configured_study(config() | {"prob": 1})
