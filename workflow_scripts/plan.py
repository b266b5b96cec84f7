"""Print what the study will cost."""

from pathlib import Path

from modelkin import jobs
from modelkin.operations import network_costs, plan
from modelkin.study.config import Study

with jobs.running_job(snakemake.log[0], "plan") as log:
    study = Study(snakemake.config)
    teraflops, devices = (study.section(f"plan_{key}") for key in ("teraflops", "devices"))
    device = jobs.job_device(snakemake.config | ({"device": "cpu"} if teraflops else {}))
    costs = network_costs.network_costs(
        study,
        device,
        teraflops=teraflops,
        kept=Path(snakemake.params.kept),
        progress=lambda done, number: log.info(
            "%d of %d networks examined", done, number, extra={"progress": True}
        ),
    )
    start = plan.seconds_to_start()
    table = plan.study_plan(study, costs, start, device)
    more = None
    if study.compared:  # one like a model that is run on no probe costs nothing
        larger = study.with_one_more("one-more")
        more = plan.study_plan(larger, costs | {"one-more": costs[study.compared[-1]]}, start, device)
    text = "\n".join(filter(None, [plan.plan_text(table, more, devices), plan.layer_batches(study, costs)]))
    on = f"at a sustained {teraflops:g} teraflops" if teraflops else f"on {device}"
    there = plan.finished_artifacts(snakemake.params.folder)
    computed = "as if nothing were computed" if there else "nothing computed yet"
    said = [f"Study '{study.name}' {on}, one job at a time, {computed}:", text]
    if there:
        said.append(f"{there} of its artifacts are there already; snakemake -n says which jobs are left.")
    if teraflops:
        said.append("Similarity, figures and the start of each job were timed on this machine's CPU.")
    said += plan.plan_warnings(study)
    missing = study.missing().values()
    if missing:
        said += [f"Before it can run, {len(missing)} things must be put there:", *missing]
    log.info("%s", text)
    print("\n".join(said), flush=True)
