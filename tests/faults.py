"""A study that is killed again and again at seeded moments, and what must hold after each time."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import psutil
from conftest import StudyFolder

from modelkin.store.digests import digest_of

WAYS = ("job", "job", "job", "run", "main")  # what is killed: one job, the whole run, the main process alone
OF_JOBS = (".snakemake/scripts", "modelkin.jobs.fork_server")  # in the words that a process was started with
LATEST = 0.5  # seconds after a job has begun
# Stages that end sooner and have one job, so that a kill that comes too late costs a run.
BRIEF = dict.fromkeys(("dataset", "probes", "dictionary", "tables", "distillation", "recommendations"), 0.1)
ROUND = 900  # seconds after which a run is taken for hung


class Kill(NamedTuple):
    """A planned one: when (as time.time()), the job, its stage, and the way."""

    due: float
    job: psutil.Process
    stage: str
    way: str


class Killer:
    """Runs a study and kills jobs of every stage, each stage so often as is said.

    often: by stage. killed: kills that hit a job at work, by stage and by way. A job is at work from when
    its log is there, for which it has imported what it needs, until its process ends. seed: decides moments
    and ways.
    """

    def __init__(self, study: StudyFolder, often: dict[str, int], seed: int):
        self.study, self.often = study, often
        self.random = random.Random(seed)
        self.next_ways = itertools.cycle(self.random.sample(WAYS, len(WAYS)))  # so that few kills have all
        self.killed, self.ways, self.latest = Counter(), Counter(), dict.fromkeys(often, LATEST) | BRIEF

    def wanting(self) -> list[str]:
        """The stages that have not been killed often enough."""
        return [stage for stage, often in self.often.items() if self.killed[stage] < often]

    def run(self, *arguments: str) -> bool:
        """Run the study until it ends or is killed as a whole; whether it came to its end."""
        unlock(self.study)
        said, began, seen, planned = self.study.folder / "said", time.time(), set(), []
        before = self.killed.total()
        with open(said, "w") as stream:
            main = psutil.Popen(
                self.study.command("--cores", "2", "--keep-going", *arguments),
                cwd=self.study.folder,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
            while main.poll() is None:
                assert time.time() < began + ROUND, said.read_text()[-4000:]
                for log in new_logs(self.study, began) - seen:
                    seen.add(log)
                    planned += self._planned(main, log)
                for kill in [kill for kill in planned if kill.due <= time.time()]:
                    planned.remove(kill)
                    self._strike(main, kill)
                time.sleep(0.01)
        assert main.returncode == 0 or self.killed.total() > before, said.read_text()[-4000:]
        return main.returncode == 0

    def _planned(self, main: psutil.Popen, log: Path) -> list[Kill]:
        stage = stage_of(self.study, log)
        if stage not in self.wanting() or (job := holder(main, log)) is None:
            return []
        after = self.random.uniform(0, self.latest[stage])
        return [Kill(time.time() + after, job, stage, next(self.next_ways))]

    def _strike(self, main: psutil.Popen, kill: Kill) -> None:
        if not alive(kill.job):
            self.latest[kill.stage] /= 2  # it was faster
            return
        if kill.way == "job":
            kill.job.send_signal(signal.SIGKILL)
        elif kill.way == "main":
            main.send_signal(signal.SIGKILL)
        else:
            os.killpg(main.pid, signal.SIGKILL)
        self.killed[kill.stage] += 1
        self.ways[kill.way] += 1
        if kill.way != "job":
            main.wait()


def unlock(study: StudyFolder) -> None:
    """What `snakemake --unlock` does, without the seconds that it takes to start."""
    shutil.rmtree(study.folder / ".snakemake" / "locks", ignore_errors=True)


def new_logs(study: StudyFolder, since: float) -> set[Path]:
    """Logs of jobs that have begun after that time."""
    logs = study.results / "logs"
    return {path for path in logs.rglob("*.log") if _written(path) > since}


def _written(path: Path) -> float:
    """When a file was last written; never, if Snakemake took it away for a job that begins anew."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0


def stage_of(study: StudyFolder, log: Path) -> str:
    """The rule of a log; figures are one stage."""
    return log.relative_to(study.results / "logs").parts[0].removesuffix(".log")


def holder(main: psutil.Popen, log: Path) -> psutil.Process | None:
    """The job that writes that log, if it is still at work."""
    for process in main.children(recursive=True):
        try:
            if str(log) in (file.path for file in process.open_files()):
                return process
        except psutil.Error:
            continue  # it has just ended
    return None


def alive(process: psutil.Process) -> bool:
    """Whether a process has not ended, even if its parent has not noticed yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def jobs_of(study: StudyFolder) -> list[psutil.Process]:
    """Processes of jobs in the study's folder: who asks for a script, forks that run one, their server."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if process.cwd() == str(study.folder) and any(word in words for word in OF_JOBS):
                found.append(process)
        except psutil.Error:
            continue
    return found


def check_finished_is_right(study: StudyFolder, digests: dict[str, str]) -> None:
    """Every artifact that looks finished is that of an undisturbed run, to the byte."""
    for name, manifest in study.manifests().items():
        said = json.loads(manifest.read_text())
        stored = digest_of(manifest.with_suffix(said["suffix"]))
        assert said["digest"] == stored == digests[name], f"{name} looks finished and is not"


def check_whole(study: StudyFolder, digests: dict[str, str]) -> None:
    """The study is that of an undisturbed run, there is nothing to do, and verifying it is content."""
    assert study.digests() == digests
    assert "Nothing to be done" in study.run("--dry-run").stdout
    done = study.run("--cores", "1", "verify")
    assert done.returncode == 0, done.stdout[-4000:]


def forget(study: StudyFolder, stages: list[str], chosen: random.Random) -> None:
    """Delete a manifest of each of these stages, so that a job of it runs once more."""
    for stage in stages:
        found = [
            path for path in study.manifests().values() if maker(json.loads(path.read_text()), path) == stage
        ]
        chosen.choice(sorted(found)).unlink()


def maker(manifest: dict, path: Path) -> str:
    """The rule that makes an artifact, with figures as one stage."""
    if manifest["stage"] == "activations":
        return f"activations_{path.parent.name}"
    return manifest["stage"]


def started(study: StudyFolder, *arguments: str, **how) -> subprocess.Popen:
    """A run in the background, in a process group of its own."""
    return subprocess.Popen(
        study.command("--cores", "2", *arguments),
        cwd=study.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **how,
    )


def remove(store: Path) -> None:
    """Delete a store, which is a file or a folder."""
    if store.is_dir():
        shutil.rmtree(store)
    else:
        store.unlink()
