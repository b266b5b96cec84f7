"""Artifacts: a store (file or directory) and a JSON manifest beside it that is written last.

Whoever finds a manifest may trust the store; a killed job leaves no manifest. A manifest holds its own
digest too, so no byte of an artifact changes unnoticed. This module knows nothing of what the stores mean.
"""

from __future__ import annotations

import contextlib
import errno
import graphlib
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from modelkin.errors import ModelkinError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}  # of file systems that cannot lock files
# What every manifest holds; a suffix is empty for a store that is a folder of files.
HOLDS = {"stage": str, "version": int, "settings": dict, "inputs": dict, "manifests": dict}
HOLDS |= {"digest": str, "suffix": str, "facts": dict, "software": dict}
SUFFIX = re.compile(r"(\.[a-z_]+)?")
OWN = "manifest_digest"  # the key of a manifest's own digest, which is of everything else in it
LEFT_OUT = ".left_out"  # stands in place of a store that a bundle came without
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
    files = (file for file in path.rglob("*") if file.is_file())
    return digest_of_files({file.relative_to(path).as_posix(): digest_of(file) for file in files})


def digest_of_files(files: Mapping[str, str]) -> str:
    """The digest of a directory, from the sha256 of its files by their paths in it."""
    total = hashlib.sha256()
    for name in sorted(files, key=PurePosixPath):
        total.update(f"{name}\0{files[name]}\n".encode())
    return total.hexdigest()


def digest_of_text(text: str) -> str:
    """sha256 of a file of this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def text_of(content: Mapping[str, Any]) -> str:
    """A manifest as it is written, to the byte."""
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def own_digest(content: Mapping[str, Any]) -> str:
    """sha256 of a manifest's text without the line that holds this digest."""
    rest = {key: value for key, value in content.items() if key != OWN}
    return digest_of_text(text_of(rest))


def identity(content: Mapping[str, Any]) -> str:
    """sha256 of what a manifest says of its artifact, but for where and by which software it was made.

    What was made of an artifact is as good as new beside another one of the same identity.
    """
    keys = ("stage", "version", "settings", "inputs", "digest", "facts", "suffix")
    return digest_of_text(text_of({key: content.get(key) for key in keys}))


def intact(text: str) -> dict[str, Any] | None:
    """The manifest of a text, or None unless it is whole and, by its own digest, as it was written."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not _is_manifest(found):
        return None
    return found if found.get(OWN) == own_digest(found) and text == text_of(found) else None


def _is_manifest(found: Mapping[str, Any]) -> bool:
    """Whether everything that is relied on is there and of its type: it may be somebody else's."""
    named = [found.get(key) for key in ("inputs", "manifests")]
    return (
        all(isinstance(found.get(key), kind) for key, kind in HOLDS.items())
        and all(isinstance(value, str) for each in named for value in each.values())
        and SUFFIX.fullmatch(found["suffix"]) is not None
    )


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


def facts(manifests: Iterable[str | Path]) -> dict[str, dict[str, Any]]:
    """The facts of each of these artifacts, by the name of its manifest."""
    return {Path(manifest).stem: read(manifest)["facts"] for manifest in manifests}


def store(manifest: str | Path, suffix: str = ".zarr") -> Path:
    """The path of the store beside a manifest ('' for a plain directory)."""
    path = Path(manifest).with_suffix(suffix)
    if not path.exists() and Path(manifest).with_suffix(LEFT_OUT).exists():
        raise ModelkinError(
            f"{path} was left out of the bundle that this study came in; ask for a bundle with it, or delete "
            f"{manifest} and {Path(manifest).with_suffix(LEFT_OUT)} and run again to make it anew."
        )
    if not path.exists():
        raise ModelkinError(
            f"{path} is missing although its manifest exists; delete {manifest} and run again."
        )
    return path


def checked_store(manifest: str | Path, suffix: str) -> Path:
    """As :func:`store`, for small ones that have no checksums of their own: all bytes are what was stored."""
    path = store(manifest, suffix)
    if digest_of(path) != read(manifest)["digest"]:
        raise _damage(path, manifest)
    return path


def damaged(manifests: Iterable[str | Path]) -> ModelkinError | None:
    """What to say of the first of these artifacts that is not what was stored; None if there is none."""
    for manifest in map(Path, manifests):
        if manifest.suffix != ".json" or not manifest.is_file():
            continue
        found = there(manifest)
        if found is None:
            return ModelkinError(f"{manifest} is damaged; delete it and run again.")
        path = manifest.with_suffix(found["suffix"])
        if path.exists() and digest_of(path) != found["digest"]:
            return _damage(path, manifest)
    return None


def _damage(path: Path, manifest: str | Path) -> ModelkinError:
    return ModelkinError(
        f"{path} is damaged: it is not what was stored; delete {manifest} and run again to make it anew."
    )


def there(manifest: str | Path) -> dict[str, Any] | None:
    """The manifest at that path if it is there and as it was written."""
    path = Path(manifest)
    return intact(path.read_text(errors="replace")) if path.is_file() else None


def put_in_order(manifests: Iterable[str | Path], benchmarks: Iterable[Path] = ()) -> None:
    """Give those of the artifacts that were made of their present inputs a time that is not before theirs.

    Snakemake goes by age, and copies, archives and clones give files another; what a manifest says of its
    inputs stays. What was made of other inputs is left alone, as is what cannot be read. benchmarks: files
    that Snakemake takes for outputs too; if anything was out of order, they become as new as the newest
    artifact. Raises ModelkinError if a time cannot be set.
    """
    found = {path: made for path in map(Path, manifests) if (made := _readable(path)) is not None}
    inputs = {path: _inputs(path, made) for path, made in found.items()}
    try:
        order = list(graphlib.TopologicalSorter(inputs).static_order())
    except graphlib.CycleError as error:
        raise ModelkinError(f"{error.args[1][0]} says that it was made of itself; delete it.") from None
    moved = False
    for path in order:
        if not inputs.get(path) or not all(source in found for source in inputs[path]):
            continue
        newest = max(source.stat().st_mtime_ns for source in inputs[path])
        # Of a folder, as a figure's, Snakemake looks at the files too.
        files = [] if found[path]["suffix"] else path.with_suffix("").rglob("*")
        older = [file for file in (path, *files) if file.stat().st_mtime_ns < newest]
        if older and all(identity(found[source]) == named for source, named in inputs[path].items()):
            moved = True
            for file in older:
                _set_time(file, newest)
    if moved:
        newest = max(path.stat().st_mtime_ns for path in found)
        for file in benchmarks:
            _set_time(file, newest)


def _readable(manifest: Path) -> dict[str, Any] | None:
    """A manifest that says what it was made of, None if there is none; whether it is whole is not asked."""
    try:
        found = json.loads(manifest.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and {"suffix", "manifests"} <= found.keys() else None


def _inputs(manifest: Path, content: Mapping[str, Any]) -> dict[Path, str]:
    """The manifests that an artifact was made of, with the identities that they had."""
    return {
        Path(os.path.normpath(manifest.parent / name)): named for name, named in content["manifests"].items()
    }


def _set_time(file: Path, nanoseconds: int) -> None:
    try:
        os.utime(file, ns=(nanoseconds, nanoseconds))
    except PermissionError:
        raise ModelkinError(
            f"{file} looks older than what it was made of, and its time cannot be set; run once as its owner."
        ) from None


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
    with writable(manifest.parent):
        manifest.unlink(missing_ok=True)
        manifest.with_suffix(LEFT_OUT).unlink(missing_ok=True)
        _remove(temporary)
        try:
            save(temporary)
        except Exception:
            _remove(temporary)  # of no use to the next start, and it may be what filled the disk
            raise
        digest = digest_of(temporary)
        _remove(final)
        os.replace(temporary, final)
        content = {
            **_made_from(manifest, stage, version, settings, inputs),
            "digest": digest,
            "suffix": suffix,
            "manifests": {_short(path, manifest): identity(read(path)) for path in inputs},
            "facts": dict(facts() if callable(facts) else facts or {}),
            "software": software(),
        }
        if device is not None:
            content["device"] = device
        content = json.loads(json.dumps(content))
        content[OWN] = own_digest(content)
        _write_text(manifest, text_of(content))
    return content


class Parts:
    """Finished parts of an artifact that is not whole yet: a job that is started again goes on from them.

    about: what :func:`write` is given; parts that were made otherwise, or on another device, are deleted.
    They stand in a hidden folder beside the manifest.
    """

    def __init__(
        self,
        manifest: str | Path,
        *,
        stage: str,
        version: int,
        settings: Mapping,
        inputs: Iterable[str | Path],
        device: str | None = None,
    ):
        manifest = Path(manifest)
        self._folder = manifest.with_name(f".{manifest.stem}.parts")
        about, said = self._folder / "about", _made_from(manifest, stage, version, settings, inputs)
        text = json.dumps(said | {"device": device}, sort_keys=True) + "\n"
        with writable(manifest.parent):
            if not about.is_file() or about.read_text() != text:
                _remove(self._folder)
                self._folder.mkdir()
                _write_text(about, text)

    def __contains__(self, number: int) -> bool:
        return self.path(number).exists()

    def path(self, number: int) -> Path:
        """Where the part of that number is, or will be."""
        return self._folder / f"{number}.zarr"

    def keep(self, number: int, save: Callable[[Path], None]) -> None:
        """Save a part under a temporary name and move it into place."""
        temporary = self.path(number).with_suffix(".partial")
        with writable(self._folder):
            _remove(temporary)
            save(temporary)
            os.replace(temporary, self.path(number))

    def drop(self) -> None:
        """Delete all parts: the artifact is whole."""
        # First what makes them count, for this may be interrupted in the middle of a part.
        (self._folder / "about").unlink()
        _remove(self._folder)


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


def remove(manifest: str | Path, suffix: str) -> None:
    """Delete an artifact: its manifest first, so that nothing unfinished looks finished, and its store."""
    manifest = Path(manifest)
    manifest.unlink()
    for store_or_mark in (manifest.with_suffix(suffix), manifest.with_suffix(LEFT_OUT)):
        _remove(store_or_mark)


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


def no_room(error: BaseException, folder: str | Path) -> ModelkinError | None:
    """What to say of an error of a disk that is full or cannot be written; None of other errors."""
    number = getattr(error, "errno", None)
    if number not in NO_ROOM:
        return None
    cure = "make it writable" if number == errno.EROFS else "make room"
    return ModelkinError(
        f"cannot write in {folder}: {os.strerror(number)}; {cure}, then run again: what is finished is kept."
    )


@contextlib.contextmanager
def writable(folder: Path):
    """Make a folder and write in it; ModelkinError if there is no room or no permission."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise ModelkinError(
            f"cannot write in {folder}: {os.strerror(error.errno)}; give write permission, then run again: "
            "what is finished is kept."
        ) from None
    except OSError as error:
        known = no_room(error, folder)
        if known is None:
            raise
        raise known from None
