"""What every script does around its work: a log, progress on long work, and one line when it cannot go on."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from modelkin import artifacts, gpus
from modelkin.errors import ModelkinError

LOG = logging.getLogger("modelkin")
STARTED_BY = "MODELKIN_STARTED_BY"  # the id of the Snakemake process on this machine that starts a job
WATCH = 0.5  # seconds between looks at whether that process is still there


@contextlib.contextmanager
def running(log: str | Path, what: str, inputs: Iterable[str | Path] = ()):
    """Log to a file, warnings and progress also to the terminal.

    A ModelkinError ends the process with exit status 1 and its one sentence; so do a full disk, and any error
    if one of the inputs is a manifest whose store is damaged. Other errors, which are bugs, keep their
    traceback.
    """
    handlers = _begin_log(log, what)
    given = (f"{key}={os.environ[key]}" for key in ("SLURM_JOB_ID", gpus.VISIBLE) if key in os.environ)
    LOG.info("%s", " ".join(("on", socket.gethostname(), *given)))
    try:
        with _ending_with_run():
            yield LOG
    except ModelkinError as error:
        LOG.error("%s", error)
        sys.exit(1)
    except Exception as error:
        known = artifacts.no_room(error, Path(log).parent) or artifacts.damaged(inputs)
        if known:
            LOG.error("%s", known)
            sys.exit(1)
        LOG.handlers[:] = handlers[:1]
        LOG.exception("unexpected error")
        raise


def _begin_log(log: str | Path, what: str) -> list[logging.Handler]:
    # Where the log has no room, results have none either: that error is the one to show.
    logging.raiseExceptions = False
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(logging.Formatter(f"{what}: %(message)s"))
    terminal.addFilter(lambda record: record.levelno >= logging.WARNING or hasattr(record, "progress"))
    LOG.setLevel(logging.INFO)
    LOG.handlers[:] = [terminal]
    try:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(log, mode="a")
        _wait_for_turn(file.stream)
        file.stream.truncate(0)
    except OSError as error:
        known = artifacts.no_room(error, Path(log).parent)
        LOG.error("%s", known or f"cannot write the log {log}: {error.strerror}; give write permission.")
        sys.exit(1)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.handlers[:] = [file, terminal]
    return LOG.handlers[:]


def _wait_for_turn(stream: TextIO) -> None:
    """Wait until no other process has this log, which is that of one job, and have it until this one ends.

    A job of a killed run may still be writing what this one is to write, on another machine for long.
    """
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        LOG.warning("the same job of an earlier run is still at work; waiting until it ends")
        fcntl.lockf(stream, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in artifacts.NO_LOCKS:
            raise


@contextlib.contextmanager
def _ending_with_run():
    """End this process when the Snakemake process that started it is gone, however it went.

    The workflow may be started again once its main process was killed, and two jobs must not write one store.
    Between the two there may be a shell; and a killed process has an id until its own parent takes note.
    """
    run, done = int(os.environ.get(STARTED_BY, 0)), threading.Event()
    direct = os.getppid() == run

    def watch() -> None:
        while _alive(run) and not (direct and os.getppid() != run):
            if done.wait(WATCH):
                return
        LOG.error("the run that started this job was killed, so it ends too; run again.")
        os._exit(1)

    if run:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a job's manifest says of how it was made: all of its rule's params but the version.

    Snakemake makes again what these change, so verifying can compare them with the config.
    """
    return {key: value for key, value in params.items() if key != "version"}


class Progress:
    """How far long work is, on the terminal and in the log, at most every few seconds."""

    def __init__(self, total: int, unit: str, every: float = 5.0):
        self.total, self.unit, self.every = total, unit, every
        self.started = self.told = time.monotonic()

    def __call__(self, done: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self.told < self.every:
            return
        self.told = now
        left = (now - self.started) * (self.total / done - 1) if done else float("nan")
        text = f"{done:.0f} of {self.total} {self.unit}, about {left:.0f} s left{note and f', {note}'}"
        LOG.info("%s", text, extra={"progress": True})


def device(config: Mapping[str, Any]):
    """The torch device of the config's ``device``; ModelkinError if this machine lacks it.

    Of several GPUs it is one that no other job uses: see :func:`modelkin.gpus.claim`. The config's
    ``precision`` holds from then on.
    """
    import torch

    from modelkin import computing

    name = config.get("device", "auto")
    computing.use(config.get("precision", "float32"))

    # Results must not depend on how many cores happen to be free.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    claimed = None
    if name != "cpu" and torch.backends.cuda.is_built():
        claimed = gpus.claim(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    elif claimed is not None:
        name = "cuda"  # the one that CUDA now sees
    found = torch.device(name)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ModelkinError(
            f"device: {name} was asked for, but this machine has no usable GPU; use cpu or auto."
        )
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ModelkinError(
            f"device: {name} does not exist; this machine has {torch.cuda.device_count()} GPUs."
        )
    if name == "cuda" and claimed is None and torch.cuda.device_count() > 1:
        LOG.warning("there is no nvidia-smi to tell this machine's GPUs apart: all jobs use the first one")
    return found
