"""Artifacts that are made in parts: a job that is killed and started again goes on from the finished ones."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from modelkin.store import arrays, manifests
from modelkin.store.disk import remove_path, writable_folder, write_text

LOG = logging.getLogger("modelkin")


class Part(NamedTuple):
    """One part of an artifact.

    Attributes
    ----------
    compute : callable
        Gives the part's datasets, which follow each other along the samples; called only if the part is
        not there from an earlier start.
    group : str, optional
        Of the store, in which the part stands; parts of one group follow each other.
    name : str
        How the log calls it.
    """

    compute: Callable[[], Iterable[xr.Dataset]]
    group: str | None = None
    name: str = "a part"


def write_in_parts(
    manifest: str | Path,
    parts: Iterable[Part],
    *,
    facts: Callable[[], Mapping[str, Any]] | None = None,
    look: Callable[[xr.Dataset], None] | None = None,
    **about: Any,
) -> dict[str, Any]:
    """Write a zarr artifact part by part, each kept as soon as it is computed.

    Parameters
    ----------
    manifest : path
        Of the artifact.
    parts : iterable of Part
        In the order in which they are stored; the same ones whenever the job is started.
    facts : callable, optional
        What the manifest says of the content, asked when all parts are there.
    look : callable, optional
        Is shown every dataset on its way into the store, also those of an earlier start.
    **about
        stage, version, settings, inputs, device: see :func:`modelkin.store.manifests.write`. Parts that were
        made otherwise are not used.

    Returns
    -------
    dict
        The manifest.
    """
    kept = ResumableParts(manifest, **about)

    def save(path: Path) -> None:
        for number, part in enumerate(parts):
            if number in kept:
                LOG.info("%s is there from an earlier start", part.name)
            else:
                kept.keep(number, functools.partial(_write_part, part))
            arrays.write_chunks(_shown(kept.path(number), look), path, part.group)

    made = manifests.write(manifest, save, facts=facts, **about)
    kept.drop()
    return made


def _write_part(part: Part, path: Path) -> None:
    arrays.write_chunks(part.compute(), path)


def _shown(path: Path, look: Callable[[xr.Dataset], None] | None) -> Iterable[xr.Dataset]:
    for chunk in arrays.stored_chunks(path):
        if look is not None:
            look(chunk)
        yield chunk


class ResumableParts:
    """The finished parts of an artifact that is not whole yet, in a hidden folder beside its manifest.

    Parts that were made by another version, of other settings or inputs, or on another device are deleted.
    """

    def __init__(
        self,
        manifest: str | Path,
        *,
        stage: str,
        version: int,
        settings: Mapping[str, Any],
        inputs: Iterable[str | Path],
        device: str | None = None,
    ):
        manifest = Path(manifest)
        self._folder = manifest.with_name(f".{manifest.stem}.parts")
        about, said = self._folder / "about", manifests.provenance(manifest, stage, version, settings, inputs)
        text = json.dumps(said | {"device": device}, sort_keys=True) + "\n"
        with writable_folder(manifest.parent):
            if not about.is_file() or about.read_text() != text:
                remove_path(self._folder)
                self._folder.mkdir()
                write_text(about, text)

    def __contains__(self, number: int) -> bool:
        return self.path(number).exists()

    def path(self, number: int) -> Path:
        """Where the part of that number is, or will be."""
        return self._folder / f"{number}.zarr"

    def unfinished(self, number: int, name: str) -> Path:
        """Where what is known of a part that is not finished is kept; it is deleted once the part is."""
        return self._folder / f"{number}.{name}.unfinished"

    def keep(self, number: int, save: Callable[[Path], None]) -> None:
        """Save a part under a temporary name and move it into place."""
        temporary = self.path(number).with_suffix(".partial")
        with writable_folder(self._folder):
            remove_path(temporary)
            save(temporary)
            os.replace(temporary, self.path(number))
            for left in self._folder.glob(f"{number}.*.unfinished"):
                left.unlink()

    def drop(self) -> None:
        """Delete all parts: the artifact is whole."""
        # First what makes them count, for this may be interrupted in the middle of a part.
        (self._folder / "about").unlink()
        remove_path(self._folder)
