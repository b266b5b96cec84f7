"""What a run of the workflow says when it ends: why it failed, what it did, whether another is at work.

It knows jobs by the files that they leave: logs, benchmarks and manifests.
"""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from modelkin.operations import stages
from modelkin.store import manifests

SHOWN = 10  # failures that are shown in full
NO_SPACE = 2**20  # bytes; with less on a disk, that is why a job ended
SAID, BUG = " ERROR ", "unexpected error"
STATES = ("ran", "reused", "failed", "left")


class Job(NamedTuple):
    """A job of a run: its rule, what it is about ('' for all), how it ended (one of :data:`STATES`), its
    log, seconds that it took, whether these were on a GPU, and passes of models.
    """

    rule: str
    about: str
    state: str
    log: Path | None = None
    seconds: float = 0.0
    gpu: bool = False
    passes: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.rule} {self.about}".strip()

    @property
    def stage(self) -> str:
        """The name of its rule's stage: all figures are one."""
        return stages.of_rule(self.rule).name


def benchmark_seconds(benchmark: str | Path) -> float:
    """Seconds of a job from its benchmark file, the sum if it has several; 0 if it has none."""
    if not Path(benchmark).is_file():
        return 0.0
    with open(benchmark, newline="") as stream:
        return sum(float(row["s"]) for row in csv.DictReader(stream, delimiter="\t"))


def on_gpu(manifest: str | Path) -> bool:
    """Whether a manifest says that its artifact was computed on a GPU."""
    found = manifests.read_intact(manifest)
    return found is not None and str(found.get("device", "")).startswith("cuda")


def failure_cause(log: str | Path | None, since: float) -> str:
    """Why a job failed, in a line, by its log; since: when the run began, before which logs are old."""
    lines = []
    if log is not None and Path(log).is_file() and Path(log).stat().st_mtime >= since:
        lines = [line for line in Path(log).read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.partition(SAID)[2] for line in lines if SAID in line]
    if errors:
        return f"{BUG}, {lines[-1]}" if errors[-1] == BUG else errors[-1]
    folder = next(path for path in Path(log or ".").absolute().parents if path.exists())
    if shutil.disk_usage(folder).free < NO_SPACE:
        return f"no space is left in {folder}; make room, then run again: what is finished is kept."
    if not lines:
        return "it ended before it could write its log; what it said stands above."
    return (
        "it ended without a word: it was killed, perhaps for want of memory or time, or its files were not "
        "seen in time; run again."
    )


def failures_text(jobs: Iterable[Job], since: float) -> str:
    """What failed: rule and model, cause, and where its log is, in two lines each."""
    failed = [job for job in jobs if job.state == "failed"]
    lines = []
    for job in failed[:SHOWN]:
        lines.append(f"FAILED {job.name}: {failure_cause(job.log, since)}")
        lines += [f"       log: {job.log}"] if job.log is not None and Path(job.log).exists() else []
    if len(failed) > SHOWN:
        lines.append(f"       and {len(failed) - SHOWN} more; the table in logs/run-summary.txt counts them.")
    return "\n".join(lines)


def summary_table(jobs: Sequence[Job], wall: float) -> str:
    """What a run did, an aligned row for each stage: jobs by state, time in jobs, GPU hours and passes.

    jobs: all that the run's targets need. wall: seconds from beginning to end. Passes are counted from the
    config: those of inversions that stopped early were fewer.
    """
    stages = {
        stage: [job for job in jobs if job.stage == stage] for stage in dict.fromkeys(j.stage for j in jobs)
    }
    rows = [_row(stage, each) for stage, each in stages.items() if any(job.state != "reused" for job in each)]
    reused = [stage for stage, each in stages.items() if all(job.state == "reused" for job in each)]
    header = ("stage", *STATES, "time", "GPU hours", "passes")
    lines = [_line(header), *map(_line, rows), _line(_row("in all", jobs))]
    if reused:
        lines.append(f"reused as a whole: {', '.join(reused)}")
    lines.append(f"wall time {_time(wall)}; left: not reached; passes: images through models, at most.")
    return "\n".join(lines)


def where_text(results: str | Path) -> str:
    """Where the study's answer is to be read: its explorer, and its report if there is one."""
    explorer, report = Path(results, "explorer.html"), Path(results, "report.html")
    said = f"The answer, and every number: open {explorer} in a browser." if explorer.is_file() else ""
    return f"{said} All figures: {report}." if said and report.is_file() else said


def _row(stage: str, jobs: Iterable[Job]) -> tuple[str, ...]:
    jobs = list(jobs)
    ran = [job for job in jobs if job.state == "ran"]
    gpu = sum(job.seconds for job in ran if job.gpu) / 3600
    passes = sum(job.passes for job in ran)
    counts = (str(sum(job.state == state for job in jobs)) for state in STATES)
    took = _time(sum(job.seconds for job in ran))
    return (stage, *counts, took, f"{gpu:.3g}", f"{passes:.3g}")


def _line(cells: Sequence[str]) -> str:
    first, *rest = cells
    return f"{first:<24}" + "".join(f"{cell:>10}" for cell in rest)


def _time(taken: float) -> str:
    minutes, rest = divmod(round(taken), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def write_summary(path: str | Path, text: str) -> str:
    """Write a run's table to a file; what to say if that is not possible, else nothing."""
    try:
        Path(path).write_text(f"{time.strftime('%F %T')}\n{text}\n")
    except OSError as error:
        return f"This could not be written to {path}: {error.strerror}."
    return ""
