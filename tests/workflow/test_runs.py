"""What a run says at its end, and how runs keep out of each other's way."""

import os
import signal
import subprocess
import sys
import threading
import time

import faults
import psutil
import pytest
from conftest import TINY, StudyFolder

from modelkin import jobs
from modelkin.errors import ModelkinError
from modelkin.jobs import fork_server
from modelkin.operations import resources, run_summary, study_lock
from modelkin.study.config import Study as Config


def logged(folder, text):
    log = folder / "a.log"
    log.write_text(text)
    return log


# why a job failed


def test_the_cause_is_the_last_error_of_the_log(tmp_path):
    log = logged(tmp_path, "t INFO on node\nt WARNING odd\nt ERROR it is wrong; mend it.\n")
    assert run_summary.failure_cause(log, since=0) == "it is wrong; mend it."


def test_the_cause_of_a_bug_is_the_end_of_its_traceback(tmp_path):
    log = logged(tmp_path, "t ERROR unexpected error\nTraceback:\n  File x\nKeyError: 'y'\n")
    assert run_summary.failure_cause(log, since=0) == "unexpected error, KeyError: 'y'"


def test_a_job_that_was_killed_or_has_no_log_of_this_run(tmp_path, monkeypatch):
    log = logged(tmp_path, "t INFO on node\n")
    assert "it was killed, perhaps for want of memory" in run_summary.failure_cause(log, since=0)
    assert "before it could write its log" in run_summary.failure_cause(log, since=time.time() + 60)
    assert "before it could write its log" in run_summary.failure_cause(tmp_path / "none.log", since=0)
    assert run_summary.failure_cause(None, since=0)
    monkeypatch.setattr(run_summary, "NO_SPACE", 2**63)
    assert f"no space is left in {tmp_path}; make room" in run_summary.failure_cause(log, since=0)


def test_many_failures_are_counted(tmp_path):
    log = logged(tmp_path, "t ERROR wrong.\n")
    many = [run_summary.Job("train", f"m{i}", "failed", log) for i in range(run_summary.SHOWN + 3)]
    lines = run_summary.failures_text(
        [*many, run_summary.Job("train", "fine", "ran", log)], since=0
    ).splitlines()
    assert lines[:2] == ["FAILED train m0: wrong.", f"       log: {log}"]
    assert len(lines) == 2 * run_summary.SHOWN + 1
    assert "and 3 more" in lines[-1]


# what a run did


def test_the_table_counts_and_adds_up():
    many = [
        run_summary.Job("train", "a", "ran", seconds=3600, gpu=True, passes=1000),
        run_summary.Job("train", "b", "ran", seconds=1800, gpu=True, passes=500),
        run_summary.Job("train", "c", "failed"),
        run_summary.Job("figure_x", "", "ran", seconds=5),
        run_summary.Job("figure_y", "", "left"),
        run_summary.Job("dataset", "", "reused", seconds=0),
    ]
    header, train, figures, total, reused, wall = run_summary.summary_table(many, wall=3661).splitlines()
    assert header.split() == ["stage", *run_summary.STATES, "time", "GPU", "hours", "passes"]
    assert train.split() == ["train", "2", "0", "1", "0", "1:30:00", "1.5", "1.5e+03"]
    assert figures.split() == ["figures", "1", "0", "0", "1", "0:00:05", "0", "0"]
    assert total.split() == ["in", "all", "3", "1", "1", "1", "1:30:05", "1.5", "1.5e+03"]
    assert reused == "reused as a whole: dataset"
    assert wall.startswith("wall time 1:01:01")
    assert len({len(line) for line in (header, train, figures, total)}) == 1


def test_seconds_are_those_of_the_benchmark(finished, tmp_path):
    benchmark = finished.results / "benchmarks" / "train" / "vgg-0.tsv"
    assert (
        run_summary.benchmark_seconds(benchmark)
        == float(benchmark.read_text().splitlines()[1].split("\t")[0])
        > 0
    )
    assert run_summary.benchmark_seconds(tmp_path / "none.tsv") == 0


def test_passes_are_counted_by_hand():
    study = Config(TINY)
    train = study.counts["digits"]["train"]
    assert resources.passes(study, "train", "vgg-0") == 2 * (train + 100)
    assert resources.passes(study, "invert", "vgg-0") == 40 * (1 + 21)
    assert resources.passes(study, "attack", "vgg-0") == 60 * (5 + 3)
    # The third model: three on its probe, and it on two.
    assert resources.passes(study, "activations_inverted", "vgg-0.5") == 40 * 5
    assert resources.passes(study, "activations_adversarial", "vgg-0.5") == 60 * 5
    assert resources.passes(study, "tables") == 0


def test_a_run_ends_with_what_it_did(study):
    (study.results / "cards" / "vgg-0.json").unlink()
    done = study.run("--cores", "1", "results/tiny/cards/vgg-0.json")
    *_, evaluate, total, reused, wall = done.stdout.strip().splitlines()
    assert evaluate.split()[:5] == ["evaluate", "1", "0", "0", "0"]
    assert total.split()[:5] == ["in", "all", "1", "2", "0"]
    assert reused == "reused as a whole: dataset, train"
    assert wall.startswith("wall time 0:")
    kept = (study.results / "logs" / "run-summary.txt").read_text()
    assert evaluate in kept


def test_a_run_ends_with_why_it_failed(study):
    weights = study.results / "models" / "vgg-0" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (study.results / "cards" / "vgg-0.json").unlink()
    done = study.run("--cores", "1", "results/tiny/cards/vgg-0.json")
    assert done.returncode != 0
    *_, failed, log = done.stdout.strip().splitlines()
    assert failed.startswith(f"FAILED evaluate vgg-0: the weights {weights.relative_to(study.folder)} cannot")
    assert failed.endswith("delete results/tiny/models/vgg-0.json and run again.")
    assert log.strip() == "log: results/tiny/logs/evaluate/vgg-0.log"
    assert done.stdout.index("At least one job did not complete") < done.stdout.index(failed)


def test_looking_at_a_study_says_nothing_of_jobs(finished):
    done = finished.run("--cores", "1", "verify")
    assert "wall time" not in done.stdout
    assert "FAILED" not in done.stdout


# one run at a time


@pytest.fixture
def running(study):
    """A study that evaluates its models, in the background, from when the first job is at work."""
    for card in (study.results / "cards").glob("*.json"):
        card.unlink()
    begun = time.time()
    run = faults.started(study, "--until", "evaluate")
    while not faults.new_logs(study, begun):
        assert run.poll() is None, run.stdout.read()
        time.sleep(0.01)
    yield run
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def test_a_second_run_is_told_of_the_first(study, running):
    os.killpg(running.pid, signal.SIGSTOP)  # so that it is there as long as it is looked at
    second = study.run("--cores", "1")
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    *_, last = second.stdout.strip().splitlines()
    assert last.startswith("another run (")
    assert f"process {running.pid}," in last
    assert last.endswith("works on this study; wait until it ends, or end it with Ctrl-C.")
    # The end of another study's run lifts all of Snakemake's locks in a folder.
    faults.unlock(study)
    third = study.run("--cores", "1")
    assert third.returncode != 0
    assert f"process {running.pid}," in third.stdout.strip().splitlines()[-1]
    os.killpg(running.pid, signal.SIGCONT)
    said, _ = running.communicate()
    assert running.returncode == 0, said


def test_the_scripts_of_a_run_are_run_by_forks_of_one_process(running):
    (server,) = [
        child for child in psutil.Process(running.pid).children() if fork_server.__name__ in child.cmdline()
    ]
    deadline = time.monotonic() + 120
    while not server.children():
        assert time.monotonic() < deadline
        assert running.poll() is None, running.stdout.read()
        time.sleep(0.01)


def test_a_run_that_was_killed_here_needs_no_unlocking(finished, study, running):
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    study.make("--until", "evaluate")
    assert study.digests().items() <= finished.digests().items()


def test_after_a_run_that_was_killed_elsewhere_the_way_on_is_told(study, running):
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    lock = study.results / "logs" / "run.lock"
    lock.write_text(lock.read_text().replace(os.uname().nodename, "elsewhere"))
    again = study.run("--cores", "1")
    assert again.returncode != 0
    *_, last = again.stdout.strip().splitlines()
    assert last.startswith(f"the last run (elsewhere, process {running.pid}, since 20")
    assert "type `snakemake --unlock --configfile study.yaml`, then start again" in last
    assert "the last run" not in study.run("--dry-run").stdout, "a dry run needs no lock"
    study.configfile = str(study.folder / "study.yaml")
    *_, last = study.run("--cores", "1", cwd=study.folder.parent).stdout.strip().splitlines()
    name = study.folder.name
    assert f"type `snakemake --unlock --configfile {name}/study.yaml --directory {name}`, then" in last


def test_only_older_locks_of_the_study_s_dead_run_are_lifted(tmp_path):
    turn = study_lock.StudyLock(tmp_path / "run.lock")
    dead, alive = (
        f"{os.uname().nodename}, process {process}, since long, {study_lock.HERE}\n"
        for process in (2**22 + 1, os.getpid())
    )
    turn.path.write_text(dead)
    locks = {name: tmp_path / f"{name}.output.lock" for name in ("dead", "younger", "other")}
    for name, file in locks.items():
        file.write_text(f"results/{'b' if name == 'other' else 'a'}/models/x.json\n")
        os.utime(file, (turn.path.stat().st_mtime + (5 if name == "younger" else -5),) * 2)
    study_lock.lift_dead_locks(tmp_path, "results/a", turn)
    assert [name for name, file in locks.items() if file.exists()] == ["younger", "other"]
    os.utime(locks["younger"], (1, 1))
    for said, why in [
        (alive, "its process is there"),
        (dead.replace(study_lock.HERE, study_lock.ELSEWHERE), "its jobs may be there"),
    ]:
        turn.path.write_text(said)
        study_lock.lift_dead_locks(tmp_path, "results/a", turn)
        assert locks["younger"].exists(), why
    turn.path.write_text(dead)
    study_lock.lift_dead_locks(tmp_path, "results/a", turn)
    assert not locks["younger"].exists()


def test_a_run_with_jobs_on_a_cluster_says_so_for_the_next(tmp_path):
    turn = study_lock.StudyLock(tmp_path / "run.lock")
    turn.take(jobs_here=False)
    later = study_lock.StudyLock(turn.path)
    del turn
    assert "cancel its jobs, which run on (docs/slurm.md" in study_lock.refusal(later, [])
    later.take()
    assert "cancel" not in study_lock.refusal(study_lock.StudyLock(later.path), [])


def test_a_turn_is_one_run_s_and_ends_with_it(tmp_path):
    first, second = (
        study_lock.StudyLock(tmp_path / "logs" / "run.lock"),
        study_lock.StudyLock(tmp_path / "logs" / "run.lock"),
    )
    assert not second.taken()
    first.take()
    assert second.taken()
    with pytest.raises(ModelkinError, match=f"process {os.getpid()}, since .* works on this study"):
        second.take()
    del first  # as if its process had ended
    assert not second.taken()
    second.take()


# two studies in one folder


def test_two_studies_at_the_same_time_do_not_touch_each_other(finished, study):
    small = {key: value for key, value in TINY.items() if key not in ("distillation", "adversarial")}
    small |= {"study": "other", "models": TINY["models"][1::2], "measures": ["linear_cka"]}
    other = StudyFolder(study.folder, small, "other.yaml")
    before = study.stamps()
    redone = [f"cards/{model['name']}.json" for model in TINY["models"]]
    for card in redone:
        (study.results / card).unlink()
    run = threading.Thread(target=other.make, args=("--until", "evaluate", "activations_natural"))
    run.start()
    study.make("--until", "evaluate")
    run.join()
    after = study.stamps()
    assert {name for name in before if before[name] != after[name]} <= set(redone)
    assert study.digests() == finished.digests()
    made = other.digests()
    # What does not depend on the study's other models is the same in both.
    for shared in ("dataset", "probes/natural", "models/mlp-0", "models/mlp-0.5", "cards/mlp-0"):
        assert made[f"{shared}.json"] == finished.digests()[f"{shared}.json"], shared
    stamps = other.stamps()
    study.make("--until", "tables")
    assert other.stamps() == stamps


JOB = """
import sys, time
from modelkin import jobs
with jobs.running_job(sys.argv[1], "work"):
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def job(log, seconds, run=0):
    """A job that works so long, of the Snakemake process with that id."""
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(log), str(seconds)],
        env=os.environ | {jobs.STARTED_BY: str(run)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_job_waits_for_the_same_one_of_an_earlier_run(tmp_path):
    log = tmp_path / "logs" / "a.log"
    first = job(log, 60)
    assert first.stdout.readline() == "begun\n"
    second = job(log, 0)
    assert "the same job of an earlier run is still at work" in second.stderr.readline()
    time.sleep(1)
    assert second.poll() is None, "it did not wait"
    first.kill()
    assert second.stdout.readline() == "begun\n"
    assert second.wait() == 0
    first.wait()
    assert log.read_text().count("INFO on") == 1, "the log is that of the second alone"


def test_a_job_ends_with_its_run(tmp_path):
    run = subprocess.Popen(["sleep", "60"])
    work = job(tmp_path / "a.log", 60, run.pid)
    assert work.stdout.readline() == "begun\n"
    run.kill()
    run.wait()
    assert work.wait(timeout=20) == 1
    assert "the run that started this job was killed" in work.stderr.read()
    late = job(tmp_path / "b.log", 60, run.pid)
    assert late.wait(timeout=20) == 1
