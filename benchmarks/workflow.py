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
WORK = ("train", "invert", "evaluate", "activations_natural", "activations_inverted", "similarity", "distill")


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


def orchestration(results: Path = ROOT / "results" / "digits" / "benchmarks") -> list[Row]:
    """From the benchmark files of a finished default study; the cost of starting a job is measured apart."""
    files = list(results.rglob("*.tsv"))
    if not files:
        return []
    cpu = {path: pd.read_csv(path, sep="\t")["cpu_time"].iloc[0] for path in files}
    imports = (
        "import torch, modelkin.training.fit, modelkin.comparison.similarity, modelkin.optimise.inversion"
    )
    used = "import resource; r = resource.getrusage(resource.RUSAGE_SELF); print(r.ru_utime + r.ru_stime)"
    start = float(
        subprocess.run([sys.executable, "-c", f"{imports}; {used}"], text=True, capture_output=True).stdout
    )
    work = sum(max(0.0, seconds - start) for path, seconds in cpu.items() if path.parent.name in WORK)
    total = sum(cpu.values())
    return [
        Row(
            "CPU time of the default study outside its work",
            f"all of it, {total:.0f} s in {len(files)} jobs",
            1 - work / total,
            0.5,
            "of the time",
            limit=f"importing torch and modelkin costs {start:.1f} s a job",
        )
    ]


def rows() -> list[Row]:
    return [*planning(), *orchestration()]
