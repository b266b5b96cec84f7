"""An interpreter with all libraries loaded, of which each job's script is run by a fork.

Loading torch, pandas and seaborn takes longer than most jobs of a small study; so it is done once for a run.
A script finds what it would in an interpreter of its own: its environment, folder, streams, signals and exit.
Knows nothing of studies, nor of who asks.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from modelkin.jobs import fork_client

# What takes long to load, by what needs it; and those modules of ours that bring the rest.
COMMON = ("pyarrow.parquet", "xarray", "zarr", "scipy.stats", "modelkin.jobs", "modelkin.analysis.tables")
WITH_TORCH = (
    "torch",
    "modelkin.networks.building",
    "modelkin.comparison.similarity",
    "modelkin.training.fit",
)
DRAWING = ("seaborn", "modelkin.figures.base")

SWITCH = "MODELKIN_FORKS"  # 0 starts every job in an interpreter of its own
THREADS = (
    fork_client.THREADS,
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
Request = tuple[dict, int, list[int]]  # what to run and how, umask, streams


def is_possible() -> bool:
    """Whether this system can: elsewhere than on Linux, libraries do not bear to be forked once loaded."""
    return sys.platform == "linux" and os.environ.get(SWITCH) != "0"


def start(libraries: Iterable[str]) -> str:
    """Start a server that loads these libraries, and ends with this process.

    Returns
    -------
    str
        What to put before ``PYTHON SCRIPT`` in a shell, so that the server runs it.
    """
    folder = tempfile.mkdtemp(prefix="modelkin-")  # only its owner may enter it
    address = str(Path(folder, "socket"))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(1024)
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", __spec__.name, str(listening.fileno()), str(os.getpid()), *libraries],
        pass_fds=[listening.fileno()],
        env=os.environ
        | dict.fromkeys(THREADS, "1")
        | {"PYTHONPATH": os.pathsep.join([_installed(), *_given("PYTHONPATH")])},
        stdin=subprocess.DEVNULL,
    )
    listening.close()

    def stop() -> None:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return shlex.join([sys.executable, "-I", "-S", fork_client.__file__, address])


def _installed() -> str:
    """The folder that the package stands in."""
    return str(Path(str(resources.files("modelkin"))).parent)


def _given(variable: str) -> list[str]:
    return [os.environ[variable]] if os.environ.get(variable) else []


def serve(listening: socket.socket, parent: int, libraries: Iterable[str]) -> int:
    """Answer until the parent is gone; in a fork, run its script and return how that ended.

    Scripts that ask while libraries are being loaded wait for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent, which Ctrl-C ends
    address = listening.getsockname()
    for library in libraries:
        importlib.import_module(library)
    gc.freeze()  # forks share what is never collected
    with selectors.DefaultSelector() as waited:
        waited.register(listening, selectors.EVENT_READ)
        while os.getppid() == parent:
            for key, _ in waited.select(fork_client.WATCH):
                if key.fileobj is not listening:
                    waited.unregister(key.fileobj)
                    _tell_end(key.fileobj, *key.data)
                elif (request := _accept(listening)) is not None:
                    connection, asked = request
                    process = os.fork()
                    if not process:
                        waited.close()
                        listening.close()
                        return _run(connection, *asked)
                    for stream in asked[2]:
                        os.close(stream)
                    waited.register(os.pidfd_open(process), selectors.EVENT_READ, (process, connection))
    shutil.rmtree(os.path.dirname(address), ignore_errors=True)  # its parent was killed
    return 0


def _accept(listening: socket.socket) -> tuple[socket.socket, Request] | None:
    """Who asks, and for what; None if he is gone already."""
    connection, _ = listening.accept()
    connection.settimeout(10)
    streams: list[int] = []
    try:
        head, streams, _, _ = socket.recv_fds(connection, 64, 3)
        while b"\n" not in head:
            head += _received(connection, 64)
        numbers, _, body = head.partition(b"\n")
        umask, size = map(int, numbers.split())
        while len(body) < size:
            body += _received(connection, size - len(body))
    except OSError:
        connection.close()
        for stream in streams:
            os.close(stream)
        return None
    connection.settimeout(None)
    return connection, (json.loads(body), umask, streams)


def _received(connection: socket.socket, at_most: int) -> bytes:
    if not (data := connection.recv(at_most)):
        raise ConnectionError("who asked is gone")
    return data


def _tell_end(ended: int, process: int, connection: socket.socket) -> None:
    """Say to who asked how his script ended."""
    _, status = os.waitpid(process, 0)
    os.close(ended)
    with connection, contextlib.suppress(OSError):  # he may be gone
        connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))


def _run(connection: socket.socket, asked: dict, umask: int, streams: list[int]) -> int:
    """Run a script in this process as if it were the interpreter's own; its exit status."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.umask(umask)
    os.environ.clear()
    os.environ.update(asked["environment"])
    tempfile.tempdir = None  # it is of the environment
    signal.signal(signal.SIGINT, signal.SIG_IGN if asked["deaf"] else signal.default_int_handler)
    threading.Thread(target=_end_with, args=(connection, os.getppid()), daemon=True).start()
    sys.argv = [asked["script"]]
    sys.path.insert(0, os.path.dirname(asked["script"]))
    runpy.run_path(asked["script"], run_name="__main__")
    return 0


def _end_with(connection: socket.socket, server: int) -> None:
    """End this process when who asked for it is gone, or the server, who alone can tell him how it ended."""
    while os.getppid() == server:
        gone, _, _ = select.select([connection], [], [], fork_client.WATCH)
        if gone:
            break
    time.sleep(2 * fork_client.WATCH)  # a script that watches its run may say why it ends
    os._exit(1)


if __name__ == "__main__":
    _, its_socket, its_parent, *its_libraries = sys.argv
    sys.exit(serve(socket.socket(fileno=int(its_socket)), int(its_parent), its_libraries))
