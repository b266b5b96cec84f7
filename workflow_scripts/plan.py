"""Print what the study will cost."""

from modelkin import jobs, plan
from modelkin.config import Study

with jobs.running(snakemake.log[0], "plan") as log:
    study = Study(snakemake.config)
    device = jobs.device(snakemake.config)
    shape, start = plan.shape_of(study), plan.seconds_to_start()
    costs = plan.measured(study, shape, device)
    table = plan.plan(study, costs, shape, start, device)
    larger = study.with_one_more("one-more")
    costs["one-more"] = costs[study.names[-1]]
    text = plan.written(table, plan.plan(larger, costs, shape, start, device))
    log.info("%s", text)
    print(f"Study '{study.name}' on {device}, one job at a time, nothing computed yet:\n{text}", flush=True)
