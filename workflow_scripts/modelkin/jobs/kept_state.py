"""The state of a training in a file, which is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from modelkin.store.disk import writable_folder


class KeptState:
    """A :class:`modelkin.training.resuming.Keeper` of one file.

    Parameters
    ----------
    path : Path
        Its content belongs to a job of the same version, settings and inputs.
    """

    def __init__(self, path: Path):
        self._path = path

    def saved(self) -> dict[str, Any] | None:
        """The state in the file, its tensors on the CPU; None if there is no file."""
        if not self._path.exists():
            return None
        found: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        return found

    def save(self, state: dict[str, Any]) -> None:
        """Write it under a temporary name and move it into place."""
        temporary = self._path.with_suffix(".partial")
        with writable_folder(self._path.parent):
            torch.save(state, temporary)
            os.replace(temporary, self._path)
