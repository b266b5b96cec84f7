"""SIGKILL at seeded moments in every stage, then plain reruns: the digests of an undisturbed run."""

import json
import os
import shutil
import signal
import time

import faults
import pytest
from conftest import TINY, StudyFolder

from modelkin.store import arrays
from modelkin.store.resumable import ResumableParts

LONG = [
    *("train", "evaluate", "invert", "attack", "similarity", "distill", "boundaries", "figures"),
    *("activations_natural", "activations_inverted", "activations_adversarial"),
]
BRIEF = [
    *("dataset", "probes", "dictionary", "tables", "clusters", "ensembles", "distillation"),
    *("components", "sat_shortcut", "draws", "recommendations"),
]
TIMES = int(os.environ.get("MODELKIN_KILLS", 1))  # kills of a long stage
OFTEN = dict.fromkeys(LONG, TIMES) | (dict.fromkeys(BRIEF, TIMES - 1) if TIMES > 1 else {})
SEED = 2026


@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again_is_that_of_an_undisturbed_run(finished, tmp_path):
    undisturbed, study = finished.digests(), StudyFolder(tmp_path / "killed", TINY)
    study.folder.mkdir()
    killer, until = faults.Killer(study, OFTEN, SEED), []
    while killer.wanting():
        ended = killer.run(*until)
        if not faults.jobs_of(study):  # what a killed main process leaves is about to end
            faults.check_finished_is_right(study, undisturbed)
        if ended and (late := killer.wanting()[:1]):
            # Its kills came too late: a job of it runs once more, and nothing that depends on it.
            faults.forget(study, late, killer.random)
            until = ["--until", *late] if late != ["figures"] else []
    faults.unlock(study)
    study.make()
    faults.check_whole(study, undisturbed)
    print(f"{killer.killed.total()} kills: {dict(killer.ways)}, {dict(killer.killed)}")
    assert killer.killed.total() >= sum(OFTEN.values())
    assert set(killer.killed) == set(OFTEN)
    assert set(killer.ways) == set(faults.WAYS)


def test_no_job_outlives_its_run(study):
    study.config["training"]["epochs"] = 5000  # longer than this test waits
    begun = time.time()
    run = faults.started(study, "--until", "train")
    while not faults.new_logs(study, begun):
        time.sleep(0.01)
    assert faults.jobs_of(study)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 20
    while faults.jobs_of(study):
        assert time.monotonic() < deadline, [job.kill() for job in faults.jobs_of(study)]
        time.sleep(0.1)
    said = "".join(log.read_text() for log in (study.results / "logs" / "train").iterdir())
    assert "the run that started this job was killed" in said


@pytest.mark.parametrize(
    ("rule", "artifact", "group", "said"),
    [
        ("invert", "probes/inverted/vgg-0.5", None, "part 1 is there"),
        ("attack", "probes/adversarial/vgg-0.5", None, "part 1 is there"),
        ("activations_inverted", "activations/inverted/mlp-0", "by/vgg-0", "vgg-0 on mlp-0 is there"),
    ],
)
def test_a_long_job_goes_on_from_its_finished_parts(finished, study, rule, artifact, group, said):
    manifest = study.results / f"{artifact}.json"
    before = json.loads(manifest.read_text())
    manifest.unlink()
    inputs = [manifest.parent / name for name in before["inputs"]]
    about = {key: before[key] for key in ("stage", "version", "settings", "device")}
    part = arrays.open_dataset(manifest.with_suffix(".zarr"), group).load()
    ResumableParts(manifest, **about, inputs=inputs).keep(0, lambda path: arrays.write(part, path))
    shutil.rmtree(manifest.with_suffix(".zarr"))
    study.make("--until", rule)
    log = (study.results / "logs" / rule / f"{manifest.stem}.log").read_text()
    assert f"{said} from an earlier start" in log
    assert json.loads(manifest.read_text())["digest"] == before["digest"]
    assert not list(manifest.parent.glob(".*")), "the parts are deleted when the whole is there"


def test_parts_of_other_settings_and_half_written_ones_do_not_count(tmp_path):
    about = {"stage": "invert", "version": 1, "inputs": []}
    kept = ResumableParts(tmp_path / "x.json", **about, settings={"steps": 1})
    kept.keep(0, lambda path: path.mkdir())

    def interrupted(path):
        path.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.keep(1, interrupted)
    again = ResumableParts(tmp_path / "x.json", **about, settings={"steps": 1})
    assert (0 in again, 1 in again) == (True, False)
    assert 0 not in ResumableParts(tmp_path / "x.json", **about, settings={"steps": 2})


def test_parts_whose_deletion_was_interrupted_do_not_count(tmp_path, monkeypatch):
    about = {"stage": "invert", "version": 1, "inputs": [], "settings": {}}
    kept = ResumableParts(tmp_path / "x.json", **about)
    kept.keep(0, lambda path: path.mkdir())

    def interrupted(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kept.drop()
    assert kept.path(0).exists()
    assert 0 not in ResumableParts(tmp_path / "x.json", **about)
