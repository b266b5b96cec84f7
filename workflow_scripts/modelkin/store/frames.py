"""Tables as parquet artifacts: written with a manifest, read with a check of every byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from modelkin.store import manifests


def write(manifest: str | Path, frame: pd.DataFrame, **about: Any) -> dict[str, Any]:
    """Write a frame as the parquet artifact of a manifest.

    Parameters
    ----------
    manifest : path
    frame : DataFrame
    **about
        As in :func:`modelkin.store.manifests.write`.

    Returns
    -------
    dict
        The manifest.
    """
    facts = {"rows": len(frame), "columns": list(frame.columns), **about.pop("facts", {})}
    return manifests.write(
        manifest,
        lambda path: frame.to_parquet(path, index=False),
        suffix=".parquet",
        facts=facts,
        **about,
    )


def write_all(paths: Iterable[str | Path], frames: Mapping[str, pd.DataFrame], **about: Any) -> None:
    """Write several frames, each as the artifact of the manifest that has its name.

    Parameters
    ----------
    paths : iterable of path
        Of the manifests.
    frames : mapping of str to DataFrame
        By the manifests' names without suffix.
    **about
        As in :func:`modelkin.store.manifests.write`.
    """
    for manifest in paths:
        write(manifest, frames[Path(manifest).stem], **about)


def read(manifest: str | Path) -> pd.DataFrame:
    """Read a table of a study.

    Parameters
    ----------
    manifest : path
        As in ``results/digits/tables/similarity.json``.

    Returns
    -------
    DataFrame

    Raises
    ------
    ModelkinError
        If it is not there, or not what was stored.
    """
    return pd.read_parquet(manifests.verified_store_of(manifest, ".parquet"))
