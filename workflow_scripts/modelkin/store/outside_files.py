"""Files and folders that artifacts are made of and that no manifest stands beside: what they were, and
whether they still are.

It knows nothing of what they hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.store.digests import digest_of
from modelkin.store.disk import write_text


def describe_outside(paths: Iterable[str | Path]) -> dict[str, dict[str, Any]]:
    """What these files and folders are, as a manifest keeps it.

    Parameters
    ----------
    paths
        As the config names them; those that are not there are left out.

    Returns
    -------
    dict
        By path: ``sha256`` (of a folder: of its files' names and digests), ``bytes``, and ``files``, how
        many.
    """
    return {str(path): _described(path, _listing(path)) for path in paths if _is_regular(path)}


class WatchedFiles:
    """Files and folders while something is made of them; some may be missing until they are downloaded."""

    def __init__(self, paths: Iterable[str | Path]):
        self._paths = list(paths)
        self._before = {path: _fingerprint(_listing(path)) for path in self._paths if _is_regular(path)}

    def described(self) -> dict[str, dict[str, Any]]:
        """What :func:`describe_outside` says of them; ModelkinError if one changed since watching began."""
        described = describe_outside(self._paths)
        for path, fingerprint in self._before.items():
            if not _is_regular(path) or _fingerprint(_listing(path)) != fingerprint:
                raise ModelkinError(f"{path} changed while it was read; run again when nothing writes there.")
        return described


class OutsideFiles:
    """Asks whether files and folders are what they were, and remembers by their times what it has read.

    A file that has the size and times that it had when it was last read is not read again. The memory is a
    file of its own, which may be deleted.
    """

    def __init__(self, memory: str | Path | None = None):
        self._memory = None if memory is None else Path(memory)
        self._known = {} if self._memory is None else _remembered(self._memory)
        self._learnt = False

    def changed(self, recorded: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Those of the recorded paths that are there and are not what they were."""
        return [
            path
            for path, was in recorded.items()
            if _is_regular(path) and self._sha256(path, was) != was["sha256"]
        ]

    def remember(self) -> None:
        """Keep what was read for the next time, if it can be written."""
        if self._learnt and self._memory is not None:
            with contextlib.suppress(OSError):  # it is only read again
                self._memory.parent.mkdir(parents=True, exist_ok=True)
                write_text(self._memory, json.dumps(self._known, indent=1, sort_keys=True) + "\n")

    def _sha256(self, path: str, was: Mapping[str, Any]) -> str | None:
        listing = _listing(path)
        if (_bytes(listing), len(listing)) != (was["bytes"], was["files"]):
            return None
        fingerprint = _fingerprint(listing)
        known = self._known.get(path)
        if known is None or known[0] != fingerprint:
            known = self._known[path] = [fingerprint, _described(path, listing)["sha256"]]
            self._learnt = True
        return known[1]


def _remembered(memory: Path) -> dict[str, list[str]]:
    try:
        found = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return {
        path: known
        for path, known in (found.items() if isinstance(found, dict) else ())
        if isinstance(known, list) and len(known) == 2
    }


def _is_regular(path: str | Path) -> bool:
    """Whether there is a file or a folder, not a device or a pipe, which would never end."""
    return Path(path).is_file() or Path(path).is_dir()


def _listing(path: str | Path) -> list[tuple[str, os.stat_result]]:
    """Every regular file with its status: the path's own, or all below the folder by their paths in it."""
    path = Path(path)
    if path.is_file():
        return [("", path.stat())]
    found = ((file.relative_to(path).as_posix(), file.stat()) for file in path.rglob("*") if file.is_file())
    return sorted(found, key=lambda each: each[0])


def _bytes(listing: Iterable[tuple[str, os.stat_result]]) -> int:
    return sum(status.st_size for _, status in listing)


def _fingerprint(listing: Iterable[tuple[str, os.stat_result]]) -> str:
    """Of names, sizes and times; the time of the last change of status too, which no copy sets back."""
    total = hashlib.sha256()
    for name, status in listing:
        when = (stat.S_ISREG(status.st_mode), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        total.update(f"{name}\0{when}\n".encode())
    return total.hexdigest()


def _described(path: str | Path, listing: list[tuple[str, os.stat_result]]) -> dict[str, Any]:
    return {"sha256": digest_of(Path(path)), "bytes": _bytes(listing), "files": len(listing)}
