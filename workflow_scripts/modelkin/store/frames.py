"""Tables as parquet artifacts: written with a manifest, read with a check of every byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from modelkin.store import manifests


def write(manifest: str | Path, frame: pd.DataFrame, **about: Any) -> dict[str, Any]:
    """Write a frame as the parquet artifact of a manifest; ``about`` as in ``manifests.write``."""
    facts = {"rows": len(frame), "columns": list(frame.columns), **about.pop("facts", {})}
    return manifests.write(
        manifest,
        lambda path: frame.to_parquet(path, index=False),
        suffix=".parquet",
        facts=facts,
        **about,
    )


def write_all(paths: Iterable[str | Path], frames: Mapping[str, pd.DataFrame], **about: Any) -> None:
    """Write the frame named like each manifest of ``paths``; ``about`` as in :func:`write`."""
    for manifest in paths:
        write(manifest, frames[Path(manifest).stem], **about)


def read(manifest: str | Path) -> pd.DataFrame:
    """The frame of a parquet artifact; ModelkinError if it is damaged."""
    return pd.read_parquet(manifests.verified_store_of(manifest, ".parquet"))
