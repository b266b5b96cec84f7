"""Which run works on a study, for only one may."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from modelkin.errors import ModelkinError
from modelkin.jobs.running import is_alive
from modelkin.store import disk

HERE, ELSEWHERE = "jobs on this machine", "jobs on a cluster"


class StudyLock:
    """The right to work on a study, which one run has at a time; the system takes it back when a run ends.

    Snakemake's own lock outlives a killed run, and a run of another study in the same folder lifts it.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._held = None

    def take(self, jobs_here: bool = True) -> None:
        """Raises ModelkinError if another run has it, or if it cannot be written.

        Jobs on this machine end with the run that started them; those on a cluster run on.
        """
        with disk.writable_folder(self.path.parent):
            stream = open(self.path, "a+")  # noqa: SIM115 (it is open as long as the run lives)
            if not self._free(stream, fcntl.LOCK_EX):
                stream.close()
                raise ModelkinError(f"another run {self.holder()} works on this study; wait until it ends.")
            stream.truncate(0)
            run = f"{socket.gethostname()}, process {os.getpid()}, since {time.strftime('%F %T')}"
            stream.write(f"{run}, {HERE if jobs_here else ELSEWHERE}\n")
            stream.flush()
        self._held = stream

    def taken(self) -> bool:
        """Whether another run has it."""
        if self._held is not None or not self.path.exists():
            return False
        with open(self.path) as stream:
            return not self._free(stream, fcntl.LOCK_SH)

    @staticmethod
    def _free(stream: TextIO, lock: int) -> bool:
        """Lock it unless somebody has; where a file system cannot lock, Snakemake's own lock has to do."""
        try:
            fcntl.flock(stream, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in disk.NO_LOCKS:
                raise
        return True

    def left_by_dead(self) -> bool:
        """Whether a run on this machine had it and was killed, jobs and all; elsewhere nobody can tell."""
        machine, _, process = self._said().partition(", process ")
        number = process.split(",")[0]
        here = machine == socket.gethostname() and process.endswith(HERE)
        return here and number.isdigit() and not is_alive(int(number))

    def left_jobs(self) -> bool:
        """Whether the run that had it last had jobs on a cluster, which outlive it."""
        return self._said().endswith(ELSEWHERE)

    def holder(self) -> str:
        """Who has it, or had it last: machine, process and time."""
        said = self._said()
        return f"({said})" if said else ""

    def _said(self) -> str:
        return self.path.read_text().strip() if self.path.exists() else ""


def lift_dead_locks(locks: str | Path, results: str | Path, turn: StudyLock) -> None:
    """Remove Snakemake's locks of a run of this study that was killed on this machine.

    They are older than that run's own lock, which it takes later; a run that begins now has younger ones.
    """
    if turn.taken() or not turn.left_by_dead():
        return
    for file in Path(locks).glob("*.lock"):
        with contextlib.suppress(FileNotFoundError):  # another run may end now
            if file.stat().st_mtime <= turn.path.stat().st_mtime and _lists(file, results):
                file.unlink()


def _lists(lock: Path, results: str | Path) -> bool:
    return any(line.startswith(f"{results}/") for line in lock.read_text().splitlines())


def is_locked(locks: str | Path, results: str | Path) -> bool:
    """Whether Snakemake's locks in that folder are of a run that makes files below results."""
    return any(_lists(file, results) for file in Path(locks).glob("*.output.lock"))


def refusal(turn: StudyLock, options: Sequence[str]) -> str:
    """What to do when Snakemake found the folder locked; options: with which it was started."""
    if turn.taken():
        return f"another run {turn.holder()} works on this study; wait until it ends, or end it with Ctrl-C."
    cancelled = (
        "cancel its jobs, which run on (docs/slurm.md, When something fails), " if turn.left_jobs() else ""
    )
    return (
        f"the last run {turn.holder()} was killed and left its lock; {cancelled}type "
        f"`{' '.join(['snakemake --unlock', *options])}`, then start again: what is finished is kept."
    )
