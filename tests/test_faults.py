"""SIGKILL in the middle of every stage, then a plain rerun: the digests are those of an undisturbed run."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from modelkin import artifacts

# Rule, an artifact that it makes, and what is deleted with it so that the run starts there.
STAGES = {
    "dataset": "dataset",
    "probes": "probes/natural",
    "train": "models/vgg-0.5",
    "evaluate": "cards/vgg-0.5",
    "invert": "probes/inverted/vgg-0.5",
    "attack": "probes/adversarial/vgg-0.5",
    "activations_natural": "activations/natural/vgg-0.5",
    "activations_adversarial": "activations/adversarial/mlp-0.5",
    "activations_inverted": "activations/inverted/mlp-0.5",
    "similarity": "similarity/mlp-0.5",
    "distill": "students/vgg-0.5",
    "tables": "tables/summary",
    "clusters": "tables/clusters",
    "ensembles": "tables/ensemble_pairs",
    "distillation": "tables/distillation",
    "figure_heatmaps": "figures/heatmaps",
}


def kill_when_running(study, log):
    """Start a run, wait until the stage's job has begun, and kill every process of it."""
    log.unlink(missing_ok=True)
    process = subprocess.Popen(
        study.command("--cores", "2"),
        cwd=study.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not log.exists():
        assert process.poll() is None, "the run ended before the stage began"
        assert time.monotonic() < deadline, "the stage never began"
        time.sleep(0.005)
    time.sleep(0.15)  # the script has read its inputs by now
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(("rule", "artifact"), STAGES.items())
def test_a_killed_stage_is_completed_by_a_rerun(finished, study, rule, artifact):
    manifest = study.results / f"{artifact}.json"
    manifest.unlink()
    if rule == "similarity":
        shutil.rmtree(study.results / artifact)  # its parts would be used again
    kill_when_running(study, log_of(study, rule, manifest.stem))
    undisturbed = finished.digests()
    for name, digest in study.digests().items():
        assert digest == undisturbed[name], f"{name} looks finished and is not"
    study.run("--unlock")
    # To the end of the stage; once to the end of the study.
    study.make(*(() if rule == "train" else ("--until", rule)))
    completed = study.digests()
    assert f"{artifact}.json" in completed
    assert completed.items() <= undisturbed.items()
    assert not list(manifest.parent.glob(".*.partial"))
    if rule == "train":
        assert completed == undisturbed
        assert "Nothing to be done" in study.run("--dry-run").stdout


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
    logs = study.results / "logs"
    if rule.startswith("figure_"):
        return logs / "figures" / f"{stem}.log"
    return logs / rule / f"{stem}.log" if (logs / rule).is_dir() else logs / f"{rule}.log"
