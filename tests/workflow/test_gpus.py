"""Jobs of a workflow beside each other: each has a GPU of its own. A false nvidia-smi makes up the GPUs."""

import re

import pytest
from conftest import TINY, UUIDS, StudyFolder


@pytest.mark.usefixtures("three_gpus")
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
