"""SIGKILL at seeded moments in every stage, then plain reruns: the digests of an undisturbed run."""

import json
import os
import shutil
import signal
import time

import faults
import pytest
from conftest import TINY, Study

from modelkin import artifacts

STAGES = [
    *("dataset", "probes", "dictionary", "train", "evaluate", "invert", "attack", "similarity", "distill"),
    *("activations_natural", "activations_inverted", "activations_adversarial"),
    *("tables", "clusters", "ensembles", "distillation", "figures"),
]
OFTEN = 3  # kills of each stage
SEED = 2026


def test_a_study_that_is_killed_again_and_again_is_that_of_an_undisturbed_run(finished, tmp_path):
    undisturbed, study = finished.digests(), Study(tmp_path / "killed", TINY)
    study.folder.mkdir()
    killer = faults.Killer(study, STAGES, OFTEN, SEED)
    while killer.wanting():
        said = killer.run()
        faults.check_finished_is_right(study, undisturbed)
        if "(100%) done" in said or "Nothing to be done" in said:
            faults.forget(study, killer.wanting(), killer.random)  # its kills came too late
    faults.unlock(study)
    study.make()
    faults.check_whole(study, undisturbed)
    print(f"{killer.killed.total()} kills: {dict(killer.ways)}, {dict(killer.killed)}")
    assert killer.killed.total() >= 50
    assert set(killer.killed) == set(STAGES)
    assert set(killer.ways) == set(faults.WAYS)


def test_no_job_outlives_its_run(study):
    for card in (study.results / "cards").glob("*.json"):
        card.unlink()
    begun = time.time()
    run = faults.started(study)
    while not faults.new_logs(study, begun):
        time.sleep(0.01)
    assert faults.jobs_of(study)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 20
    while faults.jobs_of(study):
        assert time.monotonic() < deadline, "a job works on although its run was killed"
        time.sleep(0.1)
    said = "".join(log.read_text() for log in (study.results / "logs" / "evaluate").iterdir())
    assert "the run that started this job was killed" in said


def test_an_inversion_goes_on_from_its_finished_parts(finished, study):
    manifest = study.results / "probes" / "inverted" / "vgg-0.5.json"
    said, store = json.loads(manifest.read_text()), manifest.with_suffix(".zarr")
    manifest.unlink()
    inputs = [manifest.parent / name for name in said["inputs"]]
    about = {key: said[key] for key in ("stage", "version", "settings")}
    kept = artifacts.Parts(manifest, **about, inputs=inputs)
    shutil.copytree(store, kept.path(0))
    shutil.rmtree(store)
    study.make("--until", "invert")
    assert "part 1 is there from an earlier start" in log_of(study, "invert", "vgg-0.5").read_text()
    assert json.loads(manifest.read_text())["digest"] == said["digest"]
    assert not list(manifest.parent.glob(".*")), "the parts are deleted when the whole is there"


def test_parts_of_other_settings_and_half_written_ones_do_not_count(tmp_path):
    about = {"stage": "invert", "version": 1, "inputs": []}
    kept = artifacts.Parts(tmp_path / "x.json", **about, settings={"steps": 1})
    kept.keep(0, lambda path: path.mkdir())

    def interrupted(path):
        path.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.keep(1, interrupted)
    again = artifacts.Parts(tmp_path / "x.json", **about, settings={"steps": 1})
    assert (0 in again, 1 in again) == (True, False)
    assert 0 not in artifacts.Parts(tmp_path / "x.json", **about, settings={"steps": 2})


def log_of(study, rule, stem):
    return study.results / "logs" / rule / f"{stem}.log"
