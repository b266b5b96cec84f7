"""Take every measure anew on parts of its images, to see how much its values change."""

from modelkin import jobs
from modelkin.analysis import tables
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.pairs import completed_pairs
from modelkin.comparison.recorded import Recorded
from modelkin.comparison.resampling import resampled_rows, resampling_variance
from modelkin.store import frames, manifests, paths

with jobs.running_job(snakemake.log[0], "draws", snakemake.input):
    params = snakemake.params
    read = Recorded(paths.study_folder(snakemake.config["study"]), params.order)
    names = params.models
    wanted = [
        pair
        for place, name in enumerate(names)
        for pair in completed_pairs(name, names[:place], params.dataset, params.kinds)
    ]
    rows = resampled_rows(
        wanted,
        read,
        [ConfiguredMeasure(item["name"], item["settings"]) for item in params.measures],
        repeats=params.repeats,
        seed=params.seed,
        device=jobs.job_device(snakemake.config),
    )
    attacked = paths.by_kind(snakemake.input.attacks)
    attacks = {kind: manifests.facts(made) for kind, made in attacked.items()}
    made = {"draws": resampling_variance(rows)}
    frames.write_all(
        snakemake.output,
        tables.with_lowest_success(made, tables.with_attack_success(rows, attacks)),
        stage="draws",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
