"""Artifacts: a store (file or directory) and a JSON manifest beside it that is written last.

Whoever finds a manifest may trust the store; a killed job leaves no manifest. This module knows
nothing of what the stores mean.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
SOFTWARE = ("modelkin", "torch", "numpy", "zarr", "xarray", "pandas", "scikit-learn")


def check_file(path: str | Path, what: str) -> Path:
    """The path of a file that is there and not empty; ModelkinError otherwise."""
    path = Path(path)
    if path.is_dir():
        raise ModelkinError(f"{what}, {path}, is a folder; name the file in it.")
    if not path.is_file():
        raise ModelkinError(f"{what}, {path}, does not exist.")
    if not path.stat().st_size:
        raise ModelkinError(f"{what}, {path}, is empty; copy or download it again.")
    return path


def check_writable(folder: str | Path) -> None:
    """ModelkinError unless the folder, or the nearest one above it that exists, can be written in."""
    folder = Path(folder)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ModelkinError(f"results cannot be written in {folder}: {there} is not a folder; move it away.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ModelkinError(
            f"results cannot be written in {folder}: there is no write permission in {there}."
        )


def digest_of(path: Path) -> str:
    """sha256 of a file, or of a directory's sorted file names and contents."""
    path = Path(path)
    if path.is_file():
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{digest_of(file)}\n".encode())
    return total.hexdigest()


def read(manifest: str | Path) -> dict[str, Any]:
    """The manifest at that path; ModelkinError if it is missing or not one."""
    try:
        found = json.loads(Path(manifest).read_text())
    except FileNotFoundError:
        raise ModelkinError(f"{manifest} is missing; run the workflow to make it.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ModelkinError(f"{manifest} is damaged ({error}); delete it and run again.") from None
    if not isinstance(found, dict) or "digest" not in found:
        raise ModelkinError(f"{manifest} is not a manifest of modelkin; delete it and run again.")
    return found


def store(manifest: str | Path, suffix: str = ".zarr") -> Path:
    """The path of the store beside a manifest ('' for a plain directory)."""
    path = Path(manifest).with_suffix(suffix)
    if not path.exists():
        raise ModelkinError(
            f"{path} is missing although its manifest exists; delete {manifest} and run again."
        )
    return path


def write(
    manifest: str | Path,
    save: Callable[[Path], None],
    *,
    suffix: str = ".zarr",
    stage: str,
    version: int,
    settings: Mapping[str, Any] | None = None,
    inputs: Iterable[str | Path] = (),
    facts: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Save a store under a temporary name, move it into place, then write its manifest.

    save: writes the store at the path it is given. inputs: manifests of what it was made from.
    facts: what a reader wants to know without opening the store; nothing that changes when the
    content does not; a function is called when the store has been saved. Returns the manifest.
    """
    manifest = Path(manifest)
    final = manifest.with_suffix(suffix)
    temporary = final.with_name(f".{final.name}.partial")
    with _writable(manifest.parent):
        manifest.unlink(missing_ok=True)
        _remove(temporary)
        save(temporary)
        digest = digest_of(temporary)
        _remove(final)
        os.replace(temporary, final)
        content = {
            **_made_from(manifest, stage, version, settings, inputs),
            "digest": digest,
            "facts": dict(facts() if callable(facts) else facts or {}),
            "software": software(),
        }
        if device is not None:
            content["device"] = device
        _write_text(manifest, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return content


def current(
    manifest: str | Path,
    *,
    suffix: str,
    stage: str,
    version: int,
    settings: Mapping[str, Any],
    inputs: Iterable[str | Path],
) -> bool:
    """Whether an artifact is there, undamaged, and made of these inputs with these settings."""
    manifest = Path(manifest)
    if not manifest.exists() or not manifest.with_suffix(suffix).exists():
        return False
    found = read(manifest)
    wanted = _made_from(manifest, stage, version, settings, inputs)
    return all(found.get(key) == value for key, value in wanted.items()) and (
        found["digest"] == digest_of(manifest.with_suffix(suffix))
    )


def _made_from(manifest: Path, stage, version, settings, inputs) -> dict[str, Any]:
    """The part of a manifest that says what decided the content, in the form JSON gives it back."""
    made = {
        "stage": stage,
        "version": version,
        "settings": dict(settings or {}),
        "inputs": {_short(path, manifest): read(path)["digest"] for path in inputs},
    }
    return json.loads(json.dumps(made))


def software() -> dict[str, str]:
    """Versions of Python and of the packages on which results depend."""
    found = {"python": platform.python_version()}
    for name in SOFTWARE:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _short(path: str | Path, manifest: Path) -> str:
    """path relative to the manifest's folder, so that a moved study keeps its manifests."""
    return Path(os.path.relpath(path, manifest.parent)).as_posix()


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    with open(temporary, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _writable(folder: Path):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise ModelkinError(f"cannot write in {folder}: {error.strerror}; give write permission.") from None
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise ModelkinError(f"cannot write in {folder}: {error.strerror}.") from None
