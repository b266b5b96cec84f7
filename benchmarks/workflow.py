"""What the workflow itself costs: planning 70 models, and the default study's CPU time beside its work."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.base import Row

ROOT = Path(__file__).parents[1]
MODELS = 70
# What is left are tables, figures and the explorer.
WORK = (
    *("train", "invert", "attack", "evaluate", "evaluate_snapshots", "boundaries", "similarity", "distill"),
    *("activations_natural", "activations_inverted", "activations_adversarial", "training_activations"),
    *("layers_within", "layers_between", "layers_snapshots", "stitch", "stitched_heads"),
)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile", "study.yaml"]
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *where, *arguments], cwd=folder, text=True, capture_output=True
    )


def planning() -> list[Row]:
    """A dry run of 70 models, and of the same when every artifact is there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = {
            "study": "many",
            "dataset": {"name": "digits"},
            "models": [
                {"name": f"m{i}", "source": "train", "architecture": "vgg", "eps": i % 3}
                for i in range(MODELS)
            ],
            "measures": ["linear_cka", "procrustes", "agreement"],
        }
        (folder / "study.yaml").write_text(yaml.safe_dump(study))
        start = time.perf_counter()
        planned = command(folder, "--dry-run", "--quiet", "rules")
        dry = time.perf_counter() - start
        jobs = int(re.search(r"^total +(\d+)", planned.stdout, re.MULTILINE)[1])
        summary = command(folder, "--summary").stdout.splitlines()[1:]
        for line in summary:
            path = folder / line.split("\t")[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        start = time.perf_counter()
        done = command(folder, "--dry-run")
        nothing = time.perf_counter() - start
        assert "Nothing to be done" in done.stdout, done.stdout[-2000:]
    return [
        Row(f"dry run of {MODELS} models", "seconds", dry, 4, "s"),
        Row(f"'nothing to be done' for {MODELS} models", "seconds", nothing, 4, "s"),
        Row(f"jobs of {MODELS} models", "jobs", jobs, 600, "jobs"),
    ]


def spent(logs: Path) -> pd.DataFrame:
    """CPU seconds and gigabytes that each job of a study took, as the last line of its log says.

    Snakemake's own files know only the process that waits for a fork.
    """
    found = [
        (str(path.relative_to(logs).with_suffix("")), float(said[1]), float(said[2]) / 1e3)
        for path in logs.rglob("*.log")
        if (said := re.search(r"took ([\d.]+) s of CPU time and (\d+) MB", path.read_text()[-200:]))
    ]
    return pd.DataFrame(found, columns=["job", "cpu", "gigabytes"])


def orchestration(results: Path = ROOT / "results" / "digits") -> list[Row]:
    """From the logs of a finished default study; loading libraries, once for all, is in none of them."""
    jobs = spent(results / "logs")
    if jobs.empty:
        return []
    work, total = jobs["cpu"][jobs["job"].str.split("/").str[0].isin(WORK)].sum(), jobs["cpu"].sum()
    return [
        Row(
            "CPU time of the default study's jobs outside its work",
            f"all of it, {total:.0f} s in {len(jobs)} jobs",
            1 - work / total,
            0.35,
            "of the time",
        )
    ]


def rows() -> list[Row]:
    return [*planning(), *orchestration()]
