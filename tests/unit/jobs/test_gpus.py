"""Jobs beside each other on one machine: each has a GPU of its own. A false nvidia-smi makes up the GPUs."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import UUIDS

from modelkin import jobs
from modelkin.errors import ModelkinError
from modelkin.jobs import gpus

# Claims, says what it got, and keeps it until its input ends.
JOB = """
import logging, os, pathlib, sys
from modelkin.jobs import gpus
logging.basicConfig(format="%(message)s")
gpus.LOCKS, gpus.POLL = pathlib.Path(sys.argv[1]), 0.05
print(gpus.claim_gpu(sys.argv[2]), os.environ.get(gpus.VISIBLE), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(three_gpus, tmp_path, monkeypatch):
    """That machine, its locks in a folder of the test."""
    monkeypatch.setattr(gpus, "LOCKS", tmp_path / "locks")
    monkeypatch.setattr(gpus, "POLL", 0.05)
    monkeypatch.setattr(gpus, "_held", [])
    yield three_gpus
    for descriptor in gpus._held:
        os.close(descriptor)


class Job:
    """A process that has claimed a GPU, or waits for one."""

    def __init__(self, device="auto", **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB, gpus.LOCKS, device],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def gpu(self) -> str:
        """The GPU, once it has one."""
        claimed, seen = self.process.stdout.readline().split()
        assert claimed == seen
        return claimed

    def waits(self) -> str:
        """The message of a job that finds no GPU free."""
        return self.process.stderr.readline()

    def end(self) -> None:
        self.process.communicate("")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (None, UUIDS),
        ("", []),
        ("-1", []),
        ("2,0", ["GPU-bb33", "GPU-aa11"]),
        ("GPU-ab22, 0", ["GPU-ab22", "GPU-aa11"]),
        ("GPU-b", ["GPU-bb33"]),
        ("GPU-a", []),
        ("0,7,1", ["GPU-aa11"]),
        ("MIG-5,1", ["MIG-5", "GPU-ab22"]),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(names, found):
    assert gpus.visible_gpus(UUIDS, names) == found


def test_each_of_three_jobs_has_its_own_and_the_fourth_waits(machine):
    three = [Job() for _ in UUIDS]
    assert sorted(job.gpu() for job in three) == UUIDS
    fourth = Job()
    assert "all 3 GPUs that this job may use are taken" in fourth.waits()
    freed = three[1]
    freed.end()
    assert fourth.gpu() in UUIDS
    for job in (three[0], three[2], fourth):
        job.end()


def test_a_killed_job_frees_its_gpu(machine):
    first = Job(CUDA_VISIBLE_DEVICES="1")
    assert first.gpu() == "GPU-ab22"
    second = Job(CUDA_VISIBLE_DEVICES="GPU-ab22")  # another name of the same one
    assert "taken" in second.waits()
    first.process.send_signal(signal.SIGKILL)
    assert second.gpu() == "GPU-ab22"
    second.end()


def test_many_jobs_never_share(machine, tmp_path):
    """Nine jobs for three GPUs, each for a moment: beginnings and ends alternate."""
    for gpu in UUIDS:
        (tmp_path / gpu).touch()
    code = JOB.replace(
        "sys.stdin.read()",
        "import time; told = open(os.path.join(sys.argv[3], os.environ[gpus.VISIBLE]), 'a', buffering=1)\n"
        "told.write('begin\\n'); time.sleep(0.2); told.write('end\\n')",
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, gpus.LOCKS, "cuda", tmp_path], stderr=subprocess.PIPE)
        for _ in range(9)
    ]
    assert [process.wait() for process in processes] == [0] * 9
    written = [(tmp_path / gpu).read_text().split() for gpu in UUIDS]
    assert sum(map(len, written)) == 18
    for lines in written:
        assert lines == ["begin", "end"] * (len(lines) // 2)


def test_the_device_that_the_config_names(machine, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "2,0")
    assert gpus.claim_gpu("cuda:1") == "GPU-aa11"
    assert os.environ[gpus.VISIBLE] == "GPU-aa11"
    assert gpus.claim_gpu("cuda:1") == "GPU-aa11", "asked twice, it is the same"


def test_a_device_that_is_not_there(machine):
    with pytest.raises(ModelkinError, match="cuda:3 does not exist; this job sees 3 GPUs"):
        gpus.claim_gpu("cuda:3")


def test_what_a_batch_system_gave_is_used_as_it_is(machine, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv(gpus.VISIBLE, "1")
    assert gpus.claim_gpu() == "1"
    assert not gpus.LOCKS.exists()
    monkeypatch.setenv(gpus.VISIBLE, "1,2")  # an allocation in which several jobs run
    assert gpus.claim_gpu() == "GPU-ab22"


def test_without_gpus_nothing_changes(machine, monkeypatch):
    monkeypatch.setenv(gpus.VISIBLE, "")
    assert gpus.claim_gpu() is None
    assert os.environ[gpus.VISIBLE] == ""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(gpus.VISIBLE)
    assert gpus.claim_gpu() is None
    assert gpus.VISIBLE not in os.environ


def test_what_goes_wrong_is_said(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "LOCKS", tmp_path / "bin" / "nvidia-smi")
    with pytest.raises(ModelkinError, match=r"lock of a GPU, .*, cannot be opened \(Not a directory\)"):
        gpus.claim_gpu()
    machine.write_text("#!/bin/sh\necho 'Driver/library version mismatch'\nexit 18\n")
    with pytest.raises(ModelkinError, match=r"nvidia-smi fails on this machine \(Driver/library version"):
        gpus.claim_gpu()


def test_locks_are_open_to_all_users(machine):
    old = os.umask(0o077)
    try:
        gpus.claim_gpu()
    finally:
        os.umask(old)
    assert gpus.LOCKS.stat().st_mode & 0o7777 == 0o1777
    assert (gpus.LOCKS / "GPU-aa11.lock").stat().st_mode & 0o777 == 0o644


def test_a_job_claims_before_it_asks_cuda_anything(machine, monkeypatch):
    import torch

    seen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: not seen.append(os.environ.get(gpus.VISIBLE)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    assert jobs.job_device({"device": "cuda:1"}) == torch.device("cuda")
    assert set(seen) == {"GPU-ab22"}
