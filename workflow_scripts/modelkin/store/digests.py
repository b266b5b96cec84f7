"""Digests of files, folders and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath


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
