"""Modification times that agree with what the manifests say, since Snakemake goes by age."""

from __future__ import annotations

import graphlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.store.manifests import identity


def restore_order(manifests: Iterable[str | Path], benchmarks: Iterable[Path] = ()) -> None:
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
        # Of a folder, as a figure's, and of a page Snakemake looks at the files too.
        store = path.with_suffix(found[path]["suffix"])
        files = store.rglob("*") if not found[path]["suffix"] else filter(Path.is_file, [store])
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
