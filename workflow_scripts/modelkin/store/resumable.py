"""Finished parts of an artifact that is not whole yet, from which a killed job goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from modelkin.store.disk import remove_path, writable_folder, write_text
from modelkin.store.manifests import provenance


class ResumableParts:
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
        about, said = self._folder / "about", provenance(manifest, stage, version, settings, inputs)
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

    def keep(self, number: int, save: Callable[[Path], None]) -> None:
        """Save a part under a temporary name and move it into place."""
        temporary = self.path(number).with_suffix(".partial")
        with writable_folder(self._folder):
            remove_path(temporary)
            save(temporary)
            os.replace(temporary, self.path(number))

    def drop(self) -> None:
        """Delete all parts: the artifact is whole."""
        # First what makes them count, for this may be interrupted in the middle of a part.
        (self._folder / "about").unlink()
        remove_path(self._folder)
