"""The Snakefile on which commands run Snakemake: one that is named, one of this folder, or the installed one.

A wheel carries the workflow beside the package; an editable installation says where its clone is. The package
itself knows no path out of it.
"""

from __future__ import annotations

import json
import os
from importlib import metadata, resources
from pathlib import Path
from urllib.parse import unquote, urlparse

from modelkin.errors import ModelkinError

VARIABLE = "MODELKIN_SNAKEFILE"
OF_MODELKIN = "from modelkin.operations import"  # what tells our Snakefile from somebody else's


def workflow_file() -> Path:
    """Find the workflow's Snakefile.

    Returns
    -------
    Path
        What the environment variable ``MODELKIN_SNAKEFILE`` names; else modelkin's ``Snakefile`` in this
        folder; else the one that came with the package. Absolute.

    Raises
    ------
    ModelkinError
        If it is not there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ModelkinError(f"{VARIABLE} names {named}, which does not exist; name modelkin's Snakefile.")
        return Path(named).absolute()
    for path in (Path("Snakefile").absolute(), _carried(), _of_clone()):
        if path is not None and path.is_file() and OF_MODELKIN in path.read_text("utf-8", errors="replace"):
            return path
    raise ModelkinError(
        "the Snakefile of modelkin is neither in this folder nor installed with the package; give the "
        f"command in the folder of a clone, or set {VARIABLE} to the file's path."
    )


def _carried() -> Path:
    return Path(str(resources.files("modelkin") / "workflow" / "Snakefile"))


def _of_clone() -> Path | None:
    """The Snakefile of the folder that an editable installation is of (PEP 610)."""
    try:
        said = metadata.distribution("modelkin").read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # it is only on the path
        return None
    origin = json.loads(said or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlparse(origin["url"]).path), "Snakefile")
