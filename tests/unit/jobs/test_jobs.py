"""A job's log, its one line when it cannot go on, and its device."""

import subprocess
import sys

import pytest

from modelkin import jobs
from modelkin.errors import ModelkinError


def test_a_job_that_cannot_go_on_says_so_in_one_line(tmp_path):
    code = (
        "from modelkin import jobs; from modelkin.errors import ModelkinError\n"
        f"with jobs.running_job({str(tmp_path / 'log')!r}, 'train a'): raise ModelkinError('it is wrong.')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "train a: it is wrong.\n"
    assert "ERROR it is wrong." in (tmp_path / "log").read_text()


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert jobs.job_device({}).type == "cpu"
    with pytest.raises(ModelkinError, match="no usable GPU"):
        jobs.job_device({"device": "cuda"})
