"""`snakemake --profile slurm` on a real Slurm: one machine, two GPUs that are only names of device files.

One run of a study of two models meets all that a cluster does to it: a job is killed, then the main process.
The other tests look at what Slurm and the jobs' logs say of that run.
"""

import importlib.util
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

STUDY = {
    "study": "tiny",
    "device": "auto",
    "dataset": {"name": "digits", "size": 8, "test": 100},
    "models": [
        {"name": "mlp-0", "source": "train", "architecture": "mlp"},
        {"name": "mlp-0.5", "source": "train", "architecture": "mlp", "eps": 0.5},
    ],
    "training": {"epochs": 1, "width": 4, "representation": 16},
    "evaluation": {"steps": 1, "samples": 20},
    "probes": {"natural": 20, "inverted": 12},
    "inversion": {"steps": 5, "step_size": 0.4, "schedule": "cosine"},
    "measures": ["linear_cka"],
    "clusters": {"repeats": 2},
    "ensembles": {"sizes": [2], "draws": 2},
}
# Without the other figures, which run outside Slurm.
TARGETS = ["results/tiny/tables/clusters.json", "results/tiny/figures/accuracy.json"]
ON_GPUS = {"train", "evaluate", "invert", "activations_natural", "activations_inverted", "similarity"}
BOX = ROOT / "tests" / "cluster" / "slurm_onebox.sh"
# Enough for the eight threads of the stage dataset.
GPUS, CPUS = "2", "8"
FOLDER = "slurm"
COLUMNS = {
    "jobid": 12,
    "comment": 80,
    "state": 16,
    "partition": 12,
    "minmemory": 12,
    "timelimit": 12,
    "tres-per-job": 24,
    "starttime": 24,
    "endtime": 24,
}


def missing() -> str | None:
    """Why no Slurm can be started here."""
    if os.geteuid() != 0:
        return "starting Slurm's daemons needs root"
    for command in ("slurmctld", "slurmd", "munged"):
        if not shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin"):
            return f"{command} is not installed (apt-get install slurm-wlm munge)"
    return taken(Path("/etc/slurm/slurm.conf"))


def taken(settings: Path) -> str | None:
    """Whose Slurm the settings are: the machine's own, or what a killed run of these tests left."""
    if settings.is_symlink() and settings.readlink().parent.name.startswith(FOLDER):
        folder = settings.readlink().parent
        return f"a killed run of these tests left a Slurm; end it by: {BOX.relative_to(ROOT)} stop {folder}"
    if settings.exists():
        return f"this machine has a Slurm of its own ({settings})"
    return None


def test_what_a_killed_run_left_is_not_taken_for_the_machines_slurm(tmp_path):
    settings = tmp_path / "slurm.conf"
    assert taken(settings) is None
    settings.write_text("ClusterName=theirs\n")
    assert "of its own" in taken(settings)
    settings.unlink()
    settings.symlink_to(tmp_path / f"{FOLDER}0" / "slurm.conf")  # its folder may have gone
    assert taken(settings).endswith(f"stop {tmp_path}/{FOLDER}0")


def box(*arguments) -> None:
    done = subprocess.run(
        [BOX, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout


def jobs() -> list[dict[str, str]]:
    """All jobs that Slurm has had, a row each, in their order."""
    form = ",".join(f"{name}:{width}" for name, width in COLUMNS.items())
    text = subprocess.run(
        ["squeue", "--states=all", "--noheader", "-O", form], capture_output=True, text=True, check=True
    ).stdout
    rows = []
    for line in text.splitlines():
        ends = list(itertools.accumulate(COLUMNS.values()))
        values = [line[end - width : end].strip() for end, width in zip(ends, COLUMNS.values(), strict=True)]
        row = dict(zip(COLUMNS, values, strict=True))
        row["rule"] = re.match(r"rule_(.*?)(_wildcards_|$)", row["comment"])[1]
        rows.append(row)
    return sorted(rows, key=lambda row: int(row["jobid"]))


def wait_for(found, main, seconds=240):
    """What ``found`` returns once that is not empty; the main process must live until then."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert main.poll() is None, "Snakemake ended too early"
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)
    return result


class Run:
    """The study in a folder of its own, started as the documentation says."""

    def __init__(self, folder):
        self.folder, self.results = folder, folder / "results" / "tiny"
        self.output = folder / "output.txt"
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))

    def start(self, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm"]
        where = ["--directory", self.folder, "--configfile", self.folder / "study.yaml"]
        # What a user would write into the profile; and Slurm is asked more often than it should be.
        edited = ["--slurm-partition-config", ROOT / "slurm" / "partitions.yaml"]
        edited += ["--slurm-init-seconds-before-status-checks", "2"]
        with open(self.output, "a") as output:
            return subprocess.Popen(
                [*command, *where, *edited, *TARGETS, *arguments],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def finish(self, *arguments: str, seconds=600) -> int:
        process = self.start(*arguments)
        try:
            return process.wait(timeout=seconds)
        finally:
            process.kill()  # if it hangs; without effect once it has ended


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The study, after one training was killed, then the main process, and the command was given again."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(FOLDER)
    study = Run(tmp_path_factory.mktemp("study"))
    try:
        box("start", folder, GPUS, CPUS)
        main = study.start()
        try:
            killed = wait_for(lambda: running("train"), main)[0]
            subprocess.run(["scancel", killed["jobid"]], check=True)
            study.killed = killed
            wait_for(
                lambda: [
                    row
                    for row in running("train")
                    if row["comment"] == killed["comment"] and row["jobid"] != killed["jobid"]
                ],
                main,
            )
        finally:
            main.send_signal(signal.SIGKILL)
            main.wait()
        study.locked = study.finish()
        study.unlocked = study.finish("--unlock")
        study.finished = study.finish()
        study.jobs = jobs()
        yield study
    finally:
        box("stop", folder)


def running(rule):
    return [row for row in jobs() if row["rule"] == rule and row["state"] == "RUNNING"]


def test_a_killed_study_is_completed(run):
    said = run.output.read_text()
    assert run.locked != 0, "a killed run leaves its lock"
    assert "cancel its jobs, which run on" in said
    assert "--unlock" in said
    assert run.unlocked == 0, said[-4000:]
    assert run.finished == 0, said[-4000:]
    for target in TARGETS:
        assert (run.folder / target).exists()
    assert not list(run.results.rglob("*.partial"))


def test_a_killed_job_was_queued_again_with_more_memory_and_time(run):
    first, second = [row for row in run.jobs if row["comment"] == run.killed["comment"]][:2]
    assert first["state"] == "CANCELLED"
    assert second["state"] == "COMPLETED"
    assert int(second["minmemory"].removesuffix("M")) == 2 * int(first["minmemory"].removesuffix("M"))
    assert minutes(second["timelimit"]) == 2 * minutes(first["timelimit"])


def minutes(limit: str) -> int:
    """Slurm's hours:minutes:seconds or minutes:seconds as minutes."""
    *hours, whole, _ = map(int, limit.split(":"))
    return 60 * sum(hours) + whole


def test_stages_with_models_ask_for_one_gpu_and_the_others_for_none(run):
    asked = {row["rule"]: (row["tres-per-job"], row["partition"]) for row in run.jobs}
    assert set(asked) == ON_GPUS | {"dataset", "probes", "tables", "clusters"}
    for rule, found in asked.items():
        assert found == (("gres:gpu:1", "gpu") if rule in ON_GPUS else ("N/A", "cpu")), rule


def test_no_two_jobs_share_a_gpu_and_others_run_beside_them(run):
    rows = {row["jobid"]: row for row in run.jobs if row["starttime"] != "N/A"}
    given = {}
    for log in (run.results / "logs").rglob("*.log"):
        line = log.read_text().splitlines()[0]
        if found := re.search(r"SLURM_JOB_ID=(\d+)(?: CUDA_VISIBLE_DEVICES=(\S+))?$", line):
            given[found[1]] = found[2]
    on_gpus = {job for job, gpu in given.items() if gpu}
    assert {rows[job]["rule"] for job in on_gpus} == ON_GPUS
    beside = [pair for pair in itertools.combinations(on_gpus, 2) if overlap(*(rows[job] for job in pair))]
    assert beside
    for a, b in beside:
        assert given[a] != given[b], (rows[a], rows[b])
    pairs = itertools.product(rows.values(), rows.values())
    assert any(a["partition"] == "gpu" and b["partition"] == "cpu" and overlap(a, b) for a, b in pairs)


def overlap(a, b) -> bool:
    """Whether two jobs ran at the same time; Slurm's clock has whole seconds."""
    begin, end = (max(at(a, "starttime"), at(b, "starttime")), min(at(a, "endtime"), at(b, "endtime")))
    return begin < end


def at(row, key) -> datetime:
    return datetime.fromisoformat(row[key])


@pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_slurm") is None, reason="needs modelkin[slurm]"
)
def test_the_profile_is_understood_as_it_stands(tmp_path):
    """Without Slurm: what Snakemake and its plugin read."""
    from snakemake_executor_plugin_slurm.partitions import read_partition_file

    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--dry-run", "--directory", tmp_path]
    done = subprocess.run(
        [*command, "--configfile", ROOT / "config.yaml"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gpu=1" in done.stdout + done.stderr
    partitions = read_partition_file(ROOT / "slurm" / "partitions.yaml")
    assert {partition.name: partition.limits.max_gpu for partition in partitions} == {"cpu": 0, "gpu": 1}
