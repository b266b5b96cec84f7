"""A script that a fork runs finds and leaves what it would in an interpreter of its own."""

import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from modelkin.jobs import fork_server

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks once libraries are loaded: Linux alone"
)
ONE_THREAD = dict.fromkeys(fork_server.THREADS, "1")
LIBRARY = "colorsys"  # that no script loads by chance


@pytest.fixture(scope="module")
def prefix():
    return fork_server.start([LIBRARY])


def script(folder: Path, text: str) -> Path:
    path = folder / "job.py"
    path.write_text(textwrap.dedent(text))
    return path


def started(before: str, path: Path, **how) -> subprocess.Popen:
    """As Snakemake starts it."""
    command = f"set -euo pipefail; exec {before} {shlex.quote(sys.executable)} {shlex.quote(str(path))}"
    given = {"env": os.environ | ONE_THREAD, "cwd": path.parent} | how
    return subprocess.Popen(
        command,
        shell=True,
        executable="/bin/bash",
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **given,
    )


def ended(before: str, path: Path, **how) -> tuple[int, str, str]:
    process = started(before, path, **how)
    said, errors = process.communicate(timeout=300)
    return process.returncode, said, errors


SURROUNDINGS = """
    import os, signal, sys, tempfile
    print(sys.argv, __file__, __name__, sys.executable, sys.path[0], os.getcwd(), tempfile.gettempdir())
    print(sorted(item for item in os.environ.items() if item[0] != "_"))
    umask = os.umask(0)
    print(umask, *map(signal.getsignal, (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)))
    print("to the other stream", file=sys.stderr)
"""


@pytest.mark.parametrize("interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_a_script_finds_what_it_would_in_its_own_interpreter(
    prefix, tmp_path, monkeypatch, request, interrupt
):
    before = signal.signal(signal.SIGINT, interrupt)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    monkeypatch.setenv("SAID", "a 'quoted' word\nand a line")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = script(tmp_path, SURROUNDINGS)
    forked, own = ended(prefix, path, umask=0o027), ended("", path, umask=0o027)
    assert own[0] == 0
    assert "a 'quoted' word" in own[1]
    assert forked == own


def test_the_libraries_are_there_and_the_servers_folder_is_not_searched(prefix, tmp_path):
    path = script(tmp_path, f"import sys; print('{LIBRARY}' in sys.modules, '' in sys.path)")
    assert ended(prefix, path)[1] == "True False\n"


@pytest.mark.parametrize(
    "text",
    [
        "pass",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('no room')",
        "import os; os.kill(os.getpid(), 9)",
    ],
)
def test_it_ends_as_in_its_own_interpreter(prefix, tmp_path, text):
    path = script(tmp_path, text)
    assert ended(prefix, path) == ended("", path)


def test_an_error_keeps_its_traceback(prefix, tmp_path):
    status, _, errors = ended(prefix, script(tmp_path, "def work():\n    raise ValueError('no')\nwork()"))
    assert status == 1
    assert errors.endswith("ValueError: no\n")
    assert 'job.py", line 2, in work' in errors


def test_what_a_script_has_left_for_its_end_is_done(prefix, tmp_path):
    path = script(
        tmp_path,
        """
        import atexit, threading, time
        threading.Thread(target=lambda: (time.sleep(0.2), open("thread", "w"))).start()
        atexit.register(open, "exit", "w")
        """,
    )
    assert ended(prefix, path)[0] == 0
    assert (tmp_path / "thread").exists()
    assert (tmp_path / "exit").exists()


def test_many_ask_at_once(prefix, tmp_path):
    path = script(tmp_path, "import os, time; time.sleep(0.3); print(os.environ['NUMBER'])")
    processes = [
        started(prefix, path, env=os.environ | ONE_THREAD | {"NUMBER": str(number)}) for number in range(12)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == [f"{n}\n" for n in range(12)]


@pytest.mark.parametrize("threads", ["2", None])
def test_other_threads_need_an_interpreter_of_their_own(prefix, tmp_path, threads):
    given = {**os.environ, "OMP_NUM_THREADS": threads or "1"}
    if threads is None:
        del given["OMP_NUM_THREADS"]
    path = script(tmp_path, f"import sys; print('{LIBRARY}' in sys.modules)")
    assert ended(prefix, path, env=given)[:2] == (0, "False\n")


def test_what_is_no_script_is_run_as_it_stands(prefix):
    said = subprocess.run(
        f"{prefix} echo $HOME", shell=True, capture_output=True, text=True, check=True
    ).stdout
    assert said == f"{os.environ['HOME']}\n"


def waiting(tmp_path) -> Path:
    """A script that says its process, then waits for long."""
    return script(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")


def gone(process: int) -> bool:
    deadline = time.monotonic() + 20
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_script_ends_with_who_asked_for_it(prefix, tmp_path):
    client = started(prefix, waiting(tmp_path))
    process = int(client.stdout.readline())
    assert process != client.pid
    client.kill()
    client.wait()
    assert gone(process)


def test_ctrl_c_ends_the_script(prefix, tmp_path):
    path = script(
        tmp_path,
        """
        import os, time
        try:
            print(os.getpid(), flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            raise SystemExit(7)
        """,
    )
    # The tests themselves may have been started deaf, with &.
    client = started(prefix, path, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    process = int(client.stdout.readline())
    for each in (client.pid, process):  # as to all processes of a terminal
        os.kill(each, signal.SIGINT)
    assert client.wait(20) == 7


def server_of(text: str, tmp_path) -> tuple[subprocess.Popen, str]:
    """A process with a server of its own, and what to put before a script."""
    run = f"import time; from modelkin.jobs import fork_server as f; print(f.start([]), flush=True); {text}"
    process = subprocess.Popen(
        [sys.executable, "-c", run],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    return process, process.stdout.readline().strip()


def test_a_server_ends_with_a_killed_run_and_its_scripts_too(tmp_path):
    main, before = server_of("time.sleep(60)", tmp_path)
    client = started(before, waiting(tmp_path))
    process = int(client.stdout.readline())
    (server,) = psutil.Process(main.pid).children()
    main.kill()
    main.wait()
    assert gone(server.pid)
    assert not list(tmp_path.glob("modelkin-*"))
    client.kill()
    assert gone(process)


def test_a_server_ends_with_its_run(tmp_path):
    main, before = server_of("pass", tmp_path)
    assert main.wait(20) == 0
    assert not list(tmp_path.glob("modelkin-*"))
    assert ended(before, script(tmp_path, "print('by itself')"))[:2] == (0, "by itself\n")


def test_a_killed_server_is_no_success(tmp_path):
    main, before = server_of("time.sleep(60)", tmp_path)
    client = started(before, waiting(tmp_path))
    process = int(client.stdout.readline())
    (server,) = psutil.Process(main.pid).children()
    server.kill()
    said = client.communicate(timeout=20)
    assert client.returncode == 1
    assert "was killed; run again" in said[1]
    assert gone(process)
    main.kill()
    main.wait()


def test_loading_the_libraries_starts_no_thread(tmp_path):
    """A fork has the thread that forks alone; jemalloc, of pyarrow, starts its own anew."""
    libraries = [*fork_server.COMMON, *fork_server.WITH_TORCH, *fork_server.DRAWING]
    text = f"""
        import importlib, pathlib
        for library in {libraries}: importlib.import_module(library)
        print(*sorted(path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")))
    """
    _, said, _ = ended("", script(tmp_path, text))
    assert len(said.split()) - said.split().count("jemalloc_bg_thd") == 1, said
