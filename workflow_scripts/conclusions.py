"""Hold the conclusions of a study against every measure."""

from modelkin import jobs, seeds
from modelkin.analysis.conclusions import conclusions_table
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "conclusions", snakemake.input):
    params = snakemake.params
    frames.write(
        snakemake.output[0],
        conclusions_table(
            frames.read(snakemake.input.similarity),
            frames.read(snakemake.input.models),
            params.directions,
            seed=seeds.derive_seed(params.seed, "conclusions"),
        ),
        stage="conclusions",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
