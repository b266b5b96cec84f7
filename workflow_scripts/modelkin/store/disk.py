"""Folders and files that can be written, or a sentence that says why not."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelkin.errors import ModelkinError

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}  # of file systems that cannot lock files


def check_file(path: str | Path, what: str, largest: float = math.inf) -> Path:
    """The path of a regular file that is there, not empty, and of so many bytes at most; ModelkinError
    otherwise.

    Devices and pipes are not even opened: they may have no end.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelkinError(f"{what}, {path}, is a folder; name the file in it.")
    if not path.exists():
        raise ModelkinError(f"{what}, {path}, does not exist.")
    if not path.is_file():
        raise ModelkinError(f"{what}, {path}, is a device or a pipe; name a file.")
    if not path.stat().st_size:
        raise ModelkinError(f"{what}, {path}, is empty; copy or download it again.")
    if path.stat().st_size > largest:
        raise ModelkinError(
            f"{what}, {path}, is larger than {largest / 1e6:.0f} MB; it is not what it should be."
        )
    return path


def check_writable(folder: str | Path) -> None:
    """ModelkinError unless the folder, or the nearest one above it that exists, can be written in."""
    folder = Path(folder)
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise ModelkinError(
            f"results cannot be written in {folder}: {nearest} is not a folder; move it away."
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ModelkinError(
            f"results cannot be written in {folder}: there is no write permission in {nearest}."
        )


def check_places(files: Iterable[str | Path], folder: str | Path) -> None:
    """ModelkinError if one of these files below a folder cannot be there: a folder of that name is, or a file
    where it needs a folder.
    """
    wanted, top = {Path(file) for file in files}, Path(folder)
    for parent in sorted({parent for file in wanted for parent in file.parents if top in parent.parents}):
        if (parent.exists() or parent.is_symlink()) and not parent.is_dir():
            raise ModelkinError(f"{parent} is no folder, and the study needs one there; move it away.")
    for file in sorted(wanted):
        if file.is_dir():
            raise ModelkinError(f"{file} is a folder, and a file is to stand there; move it away.")


def write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    with open(temporary, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def remove_path(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def out_of_space(error: BaseException, folder: str | Path) -> ModelkinError | None:
    """What to say of an error of a disk that is full or cannot be written; None of other errors."""
    number = getattr(error, "errno", None)
    if number not in NO_ROOM:
        return None
    cure = "make it writable" if number == errno.EROFS else "make room"
    return ModelkinError(
        f"cannot write in {folder}: {os.strerror(number)}; {cure}, then run again: what is finished is kept."
    )


@contextlib.contextmanager
def writable_folder(folder: Path) -> Iterator[None]:
    """Make a folder and write in it; ModelkinError if there is no room or no permission."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        # Of other libraries' errors the text is theirs, the number is the system's.
        reason = str(error) if error.errno is None else os.strerror(error.errno)
        raise ModelkinError(
            f"cannot write in {folder}: {reason}; give write permission, then run again: what is finished is "
            "kept."
        ) from None
    except OSError as error:
        known = out_of_space(error, folder)
        if known is None:
            raise
        raise known from None
