"""Have a script run by a fork server, or by an interpreter of its own where that server cannot.

Started for every job by its path, so it imports nothing slow: ``fork_client.py SOCKET PYTHON SCRIPT``. It
stands for the script: it takes its signals, ends when its own parent does, and ends as the script does.
"""

import json
import os
import signal
import socket
import sys

THREADS = "OMP_NUM_THREADS"  # Snakemake sets all variables of the kind to the same number
WATCH = 0.5  # seconds between looks at whether the parent is still there


def served(command: list[str], environment: dict[str, str]) -> bool:
    """Whether the server can stand in: it is of this Python, and its libraries were loaded for one thread."""
    return len(command) == 2 and command[0] == sys.executable and environment.get(THREADS) == "1"


def ask(connection: socket.socket, script: str, deaf: bool) -> int:
    """Have the script run, deaf to Ctrl-C or not; its exit status, negative for the signal that ended it.

    Raises
    ------
    ConnectionError
        If the server ended before the script did.
    """
    surroundings = {"script": script, "cwd": os.getcwd(), "environment": dict(os.environ), "deaf": deaf}
    asked = json.dumps(surroundings).encode()
    umask = os.umask(0)
    os.umask(umask)
    head = b"%d %d\n" % (umask, len(asked))
    socket.send_fds(connection, [head], [0, 1, 2])
    connection.sendall(asked)
    parent = os.getppid()
    connection.settimeout(WATCH)
    while True:
        try:
            answer = connection.recv(16)
        except TimeoutError:
            if os.getppid() != parent:  # closes the connection, which ends the script
                sys.exit(1)
            continue
        if not answer:
            raise ConnectionError("the server is gone")
        return int(answer)


def main() -> None:
    """Run the command of the arguments, and end as it does."""
    address, *command = sys.argv[1:]
    connection = socket.socket(socket.AF_UNIX)
    try:
        if not served(command, dict(os.environ)):
            raise ConnectionError
        connection.connect(address)
    except OSError:
        os.execvp(command[0], command)
    # Ctrl-C reaches the whole group: the script ends by it, and this process with the script.
    deaf = signal.signal(signal.SIGINT, signal.SIG_IGN) is signal.SIG_IGN  # as what a script starts with &
    try:
        status = ask(connection, command[1], deaf)
    except ConnectionError:
        sys.exit("the process that runs the scripts of all jobs was killed; run again.")
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
