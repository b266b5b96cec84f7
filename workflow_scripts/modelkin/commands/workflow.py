"""Snakemake started on a study, as a user would type it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from modelkin.errors import ModelkinError
from modelkin.jobs import gpus
from modelkin.operations.workflow_file import workflow_file
from modelkin.study.config import load_config

DEFAULT = "config.yaml"  # of a folder, as Snakemake has it


def config_file(given: str | None) -> Path:
    """The config that a command is about: the one that is given, else the folder's config.yaml.

    ModelkinError if it is not there.
    """
    path = Path(given or DEFAULT)
    if path.is_file():
        return path
    if given:
        raise ModelkinError(f"the config {given} does not exist; `modelkin init {given}` begins one.")
    raise ModelkinError(
        f"there is no {DEFAULT} in this folder; `modelkin init` begins one, or name another config."
    )


def snakemake_command(config: str | Path, arguments: Sequence[str] = ()) -> list[str]:
    """What to start for a study; what the user gave of Snakemake's own stands last and so holds."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(workflow_file())),
        *arguments,
        *("--configfile", str(config)),
    ]


def run_snakemake(config: str | Path, arguments: Sequence[str]) -> int:
    """Start Snakemake on a study and wait; its exit status.

    ModelkinError before that if the config is no YAML, for Snakemake does not say in which line.
    """
    load_config(config)
    process = subprocess.Popen(snakemake_command(config, arguments))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # Snakemake has it too, and ends its jobs
            continue


def default_resources(arguments: Sequence[str], all_cores: bool = True) -> list[str]:
    """Cores and GPUs of this machine, unless the arguments or their profile say what to use.

    all_cores: or one core, and no GPU.
    """
    own = {each.split("=")[0] for each in arguments}
    found = []
    if not own & {"--cores", "-c", "--jobs", "-j", "--profile"}:
        found += ["--cores", str(os.cpu_count() or 1) if all_cores else "1"]
    if all_cores and not own & {"--resources", "--profile"} and (number := len(gpus.installed_gpus())):
        found += ["--resources", f"gpu={number}"]
    return found
