"""Jobs of a workflow beside each other: each has a GPU of its own. A false nvidia-smi makes up the GPUs."""

import os
import re

import pytest
from conftest import TINY, StudyFolder

from modelkin.jobs import gpus

UUIDS = ["GPU-aa11", "GPU-ab22", "GPU-bb33"]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with three GPUs and no batch system."""
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\nprintf '%s\\n' " + " ".join(UUIDS) + "\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    for key in (gpus.VISIBLE, *gpus.SCHEDULED):
        monkeypatch.delenv(key, raising=False)


@pytest.mark.usefixtures("machine")
def test_jobs_of_a_workflow_have_different_gpus(tmp_path):
    """Trainings on two GPUs, four cores; without CUDA they compute on the CPU but claim all the same."""
    config = {**TINY, "device": "auto", "training": {"epochs": 1, "width": 4, "representation": 16}}
    study = StudyFolder(tmp_path / "study", config)
    study.folder.mkdir()
    done = study.run("--cores", "4", "--resources", "gpu=2", "--until", "train")
    assert done.returncode == 0, done.stdout[-4000:]
    logs = [log.read_text() for log in (study.results / "logs" / "train").iterdir()]
    claimed = [re.search(r"CUDA_VISIBLE_DEVICES=(\S+)", log)[1] for log in logs]
    assert len(claimed) == 4
    assert set(claimed) == set(UUIDS[:2])
