"""Join the students of all teachers, and correlate their accuracy with similarity."""

import pandas as pd

from modelkin import analyses, jobs, seeds, tables

with jobs.running(snakemake.log[0], "distillation", snakemake.input):
    similarity = tables.read(snakemake.input.similarity)
    made = analyses.distillation(
        pd.concat([tables.read(manifest) for manifest in snakemake.input.students]),
        similarity,
        tables.read(snakemake.input.models),
        tables.read(snakemake.input.components),
        student=snakemake.params.student,
        seed=seeds.derive(snakemake.params.seed, "distillation"),
    )
    tables.write_all(
        snakemake.output,
        tables.with_lowest_attacks(made, similarity),
        stage="distillation",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=list(snakemake.input),
    )
