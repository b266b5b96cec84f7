"""The Snakefile on which commands run Snakemake: that of the folder in which they are given.

The package may be installed alone, so it knows no path to the workflow.
"""

from __future__ import annotations

import os
from pathlib import Path

from modelkin.errors import ModelkinError

VARIABLE = "MODELKIN_SNAKEFILE"


def workflow_file() -> Path:
    """Find the workflow's Snakefile.

    Returns
    -------
    Path
        What the environment variable ``MODELKIN_SNAKEFILE`` names, else ``Snakefile`` in the current folder;
        absolute.

    Raises
    ------
    ModelkinError
        If it is not there.
    """
    path = Path(os.environ.get(VARIABLE) or "Snakefile").absolute()
    if not path.is_file():
        raise ModelkinError(
            f"there is no {path}; give the command in the folder of modelkin's Snakefile, or set {VARIABLE} "
            "to its path."
        )
    return path
