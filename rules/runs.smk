# What a run says when it ends: why it failed, what it did, what to do if it was refused.
BEGAN = time.time()
STUDY_LOCK = study_lock.StudyLock(f"{RESULTS}/logs/run.lock")
WORTH_A_SERVER = (
    3  # jobs; loading the libraries takes as long as it does in one of them
)
SUMMARY = f"{RESULTS}/logs/run-summary.txt"
FOLDER = os.getcwd()  # of the study; at its end Snakemake is where it was started


def ended(job):
    """A job of this run and how it ended."""
    if job in workflow.scheduler.failed:
        state = "failed"
    elif not workflow.dag.needrun(job):
        state = "reused"
    else:
        state = "ran" if workflow.dag.finished(job) else "left"
    asked = about(stages.of_rule(job.rule.name).name, job.wildcards)
    ran = state == "ran"
    return run_summary.Job(
        job.rule.name,
        "".join(reversed(list(job.wildcards))),
        state,
        log=Path(job.log[0]) if job.log else None,
        seconds=(
            run_summary.benchmark_seconds(job.benchmark)
            if ran and job.benchmark
            else 0.0
        ),
        gpu=ran
        and job.resources.get("gpu", 0) > 0
        and any(map(run_summary.on_gpu, job.output[:1])),
        passes=resources.passes(*asked) if ran else 0.0,
    )


def schedule_only_when_jobs_end():
    """Lift Snakemake's default limit of 100 jobs a second, for which it looks at all waiting jobs again a second
    after each look, and begins one more such chain with every job that ends: it came to do little else.
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def start_fork_server(coming):
    """Have the scripts of the coming jobs run by forks of one process that has loaded their libraries.

    Not on a cluster, where each job is on a machine of its own, and not in another Python than this one.
    """
    local = workflow.local_exec and not workflow.deployment_settings.deployment_method
    asked = [stages.of_rule(job.rule.name) for job in coming if job.benchmark]
    if not local or not fork_server.is_possible() or len(asked) < WORTH_A_SERVER:
        return
    libraries = [*fork_server.COMMON]
    if any(stage.uses_torch for stage in asked):
        libraries += fork_server.WITH_TORCH
    if any(stage.name == "figures" for stage in asked):
        libraries += fork_server.DRAWING
    # Snakemake formats what it puts before the command of each script.
    client = fork_server.start(libraries).replace("{", "{{").replace("}", "}}")
    shell.prefix(f"set -euo pipefail; exec {client} ")


def report_run():
    """Say at the very end, after all that Snakemake says, what the run did and why it failed."""
    if workflow.touch:
        return
    order = [each.name for each in workflow.rules]
    jobs_of_run = sorted(
        (job for job in workflow.dag.jobs if job.log),
        key=lambda job: (order.index(job.rule.name), list(job.wildcards)),
    )
    said = []
    # Stages have benchmarks; looking at a study has none.
    staged = [ended(job) for job in jobs_of_run if job.benchmark]
    if any(job.state != "reused" for job in staged):
        said.append(run_summary.summary_table(staged, time.time() - BEGAN))
        said.append(run_summary.write_summary(SUMMARY, said[0]))
    said.append(run_summary.failures_text(map(ended, jobs_of_run), BEGAN))
    if any(
        job.rule.name == "explorer" and workflow.dag.finished(job)
        for job in workflow.dag.jobs
    ):
        said.append(run_summary.where_text(RESULTS))
    atexit.register(print, "\n".join(filter(None, said)), file=sys.stderr, flush=True)


def what_would_be_mixed():
    """A sentence if the coming jobs compute otherwise than what they will stand beside; empty if not."""
    if workflow.touch or study.section("mixed_devices"):
        return ""
    coming, made = {}, set()
    for job in workflow.dag.needrun_jobs(exclude_finished=False):
        outputs = [os.path.relpath(path, RESULTS) for path in job.output]
        made.update(outputs)
        if job.benchmark and (record := stages.of_rule(job.rule.name)).uses_gpu:
            coming.setdefault(record.recorded, []).extend(outputs)
    staying = [os.path.relpath(path, RESULTS) for path in rules.all.input]
    found = mixed_devices.mixtures(
        coming,
        [path for path in staying if path not in made],
        lambda path: read_intact(f"{RESULTS}/{path}"),
        study,
        remote=workflow.non_local_exec and not workflow.dryrun,
    )
    return mixed_devices.mixture_sentence(found, RESULTS) if found else ""


def foretell_refusal():
    """Say after a dry run what would keep a run from beginning."""
    if workflow.dryrun and workflow.scheduler is not None:
        if said := what_would_be_mixed():
            print(f"config: {said}", file=sys.stderr)


def explain_refusal(started_in):
    """Say what to do if Snakemake was to run jobs and found the folder locked."""
    started = workflow.scheduler is not None or workflow.executor_plugin is None
    if (
        not started
        and not workflow.dryrun
        and study_lock.is_locked(".snakemake/locks", RESULTS)
    ):
        files = [
            os.path.relpath(path, started_in) for path in workflow.overwrite_configfiles
        ]
        options = [f"--configfile {' '.join(files)}"] if files else []
        if FOLDER != started_in:
            options.append(f"--directory {os.path.relpath(FOLDER, started_in)}")
        print(study_lock.refusal(STUDY_LOCK, options), file=sys.stderr)


def say_at_exit():
    started_in = os.getcwd()
    with contextlib.chdir(FOLDER):
        foretell_refusal()
        explain_refusal(started_in)


if workflow.is_main_process:
    study_lock.lift_dead_locks(".snakemake/locks", RESULTS, STUDY_LOCK)
    atexit.register(say_at_exit)
