"""What every script does around its work: a log, progress on long work, and one line when it cannot go on."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import resource
import socket
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from modelkin.errors import ModelkinError
from modelkin.jobs import gpus
from modelkin.store import disk, manifests

LOG = logging.getLogger("modelkin")
STARTED_BY = "MODELKIN_STARTED_BY"  # the id of the Snakemake process on this machine that starts a job
WATCH = 0.5  # seconds between looks at whether that process is still there


@contextlib.contextmanager
def running_job(log: str | Path, what: str, inputs: Iterable[str | Path] = ()):
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
        LOG.info("%s", _spent())
    except ModelkinError as error:
        LOG.error("%s", error)
        sys.exit(1)
    except Exception as error:
        known = disk.out_of_space(error, Path(log).parent) or manifests.first_damage(inputs)
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
        known = disk.out_of_space(error, Path(log).parent)
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
        if error.errno not in disk.NO_LOCKS:
            raise


def _spent() -> str:
    """What this process took; Snakemake's benchmark does not see it where a fork server runs the scripts."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    bytes_used = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    seconds = used.ru_utime + used.ru_stime
    return f"took {seconds:.1f} s of CPU time and {bytes_used / 1e6:.0f} MB of memory at the most"


@contextlib.contextmanager
def _ending_with_run():
    """End this process when the Snakemake process that started it is gone, however it went.

    The workflow may be started again once its main process was killed, and two jobs must not write one store.
    Between the two there may be a shell; and a killed process has an id until its own parent takes note.
    """
    run, done = int(os.environ.get(STARTED_BY, 0)), threading.Event()
    direct = os.getppid() == run

    def watch() -> None:
        while is_alive(run) and not (direct and os.getppid() != run):
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


def is_alive(process: int) -> bool:
    """Whether a process of this machine has that id."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def manifest_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """What a job's manifest says of how it was made: all of its rule's params but the version.

    Snakemake makes again what these change, so verifying can compare them with the config.
    """
    return {key: value for key, value in params.items() if key != "version"}
