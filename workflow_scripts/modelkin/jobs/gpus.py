"""One GPU for each job: Snakemake counts GPUs but does not say which one a job may use.

A job claims a GPU by locking a file that stands for it, on this machine and in no study's folder. The lock
belongs to the job's process, so the kernel frees it however the process ends. Imports no torch: what a
process sees must be settled before CUDA starts.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from modelkin.errors import ModelkinError

LOG = logging.getLogger("modelkin")
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Not in TMPDIR, which schedulers and users set differently for each job.
LOCKS = Path("/tmp/modelkin-gpus")
# What batch systems set in their jobs: Slurm, PBS, LSF, Grid Engine.
SCHEDULED = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
POLL, REPEAT = 1.0, 60.0  # seconds between attempts, and between messages while waiting

_held: list[int] = []  # the open file of this process's lock, kept open until it ends


def installed_gpus() -> list[str]:
    """UUIDs of this machine's NVIDIA GPUs, by index; none without nvidia-smi.

    ModelkinError if nvidia-smi fails.
    """
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    asked = [command, "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        raise ModelkinError(
            f"nvidia-smi fails on this machine ({said}); repair its driver, or say device: cpu in the config."
        )
    return done.stdout.split()


def visible_gpus(uuids: Sequence[str], names: str | None) -> list[str]:
    """The GPUs among ``uuids`` that a value of CUDA_VISIBLE_DEVICES leaves (all, if it is not set).

    Names are indices, UUIDs, beginnings of UUIDs, or MIG instances, which are kept as they are. As in CUDA,
    the first name that means nothing ends the list.
    """
    if names is None:
        return list(uuids)
    found: list[str] = []
    for name in names.split(","):
        gpu = _named(name.strip(), uuids)
        if gpu is None:
            break
        found.append(gpu)
    return found


def _named(name: str, uuids: Sequence[str]) -> str | None:
    if name.isdecimal():
        return uuids[int(name)] if int(name) < len(uuids) else None
    if name.startswith("MIG-"):
        return name
    matching = [uuid for uuid in uuids if name and uuid.startswith(name)]
    return matching[0] if len(matching) == 1 else None


def claim_gpu(device: str = "cuda") -> str | None:
    """Make one GPU the only one that this process sees, and keep it until the process ends; its name.

    device: 'auto' or 'cuda' for any that is free, 'cuda:1' for the second of those that are visible. Waits,
    with a message, while all are taken by other jobs of this machine. Where a batch system gave this job
    exactly one GPU, it is that one, without a lock. None, and nothing changed, where there is no GPU, or no
    nvidia-smi to say which there are. ModelkinError if cuda:N is not visible or a lock cannot be opened.
    """
    if _held or _scheduled():
        return os.environ.get(VISIBLE)
    gpus = visible_gpus(installed_gpus(), os.environ.get(VISIBLE))
    if not gpus:
        return None
    if ":" in device:
        index = int(device.split(":")[1])
        if index >= len(gpus):
            raise ModelkinError(f"device: {device} does not exist; this job sees {len(gpus)} GPUs.")
        gpus = gpus[index : index + 1]
    gpu = _wait_for_one(gpus)
    os.environ[VISIBLE] = gpu
    LOG.info("%s=%s", VISIBLE, gpu)
    return gpu


def _scheduled() -> bool:
    """Whether a batch system has chosen the one GPU of this job."""
    given = [name for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return len(given) == 1 and any(key in os.environ for key in SCHEDULED)


def _wait_for_one(gpus: Sequence[str]) -> str:
    started = time.monotonic()
    tell_at = started
    while True:
        for gpu in gpus:
            if _lock(gpu):
                return gpu
        now = time.monotonic()
        if now >= tell_at:
            LOG.warning(
                "all %d GPUs that this job may use are taken by other jobs; it has waited %.0f s "
                "(snakemake --resources gpu=%d starts no more jobs than there are GPUs)",
                len(gpus),
                now - started,
                len(gpus),
            )
            tell_at = now + REPEAT
        time.sleep(POLL)


def _lock(gpu: str) -> bool:
    """Whether the GPU was free; it is this process's from then on."""
    descriptor = _opened(LOCKS / f"{gpu.replace('/', '_')}.lock")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held.append(descriptor)
    return True


def _opened(path: Path) -> int:
    """The lock file, which is empty, never deleted, and may belong to another user."""
    try:
        if not path.parent.exists():
            path.parent.mkdir(exist_ok=True)
            path.parent.chmod(0o1777)  # jobs of all users lock here
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(descriptor, 0o644)  # whatever the umask says
        except FileExistsError:
            descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise ModelkinError(
            f"the lock of a GPU, {path}, cannot be opened ({error.strerror}); "
            f"give all users write permission in {path.parent}."
        ) from None
    return descriptor
