"""Join the students of all teachers, and correlate their accuracy with similarity."""

import pandas as pd

from modelkin import jobs, seeds
from modelkin.analysis import tables
from modelkin.analysis.teachers import distillation_tables
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "distillation", snakemake.input):
    similarity = frames.read(snakemake.input.similarity)
    made = distillation_tables(
        pd.concat([frames.read(manifest) for manifest in snakemake.input.students]),
        similarity,
        frames.read(snakemake.input.models),
        frames.read(snakemake.input.components),
        student=snakemake.params.student,
        seed=seeds.derive_seed(snakemake.params.seed, "distillation"),
    )
    frames.write_all(
        snakemake.output,
        tables.with_lowest_success(made, similarity),
        stage="distillation",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
