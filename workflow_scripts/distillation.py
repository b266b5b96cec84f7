"""Join the students of all teachers, and correlate their accuracy with similarity."""

import pandas as pd

from modelkin import analyses, jobs, tables

with jobs.running(snakemake.log[0], "distillation", snakemake.input):
    made = analyses.distillation(
        pd.concat([tables.read(manifest) for manifest in snakemake.input.students]),
        tables.read(snakemake.input.similarity),
        tables.read(snakemake.input.models),
        student=snakemake.params.student,
    )
    tables.write_all(
        snakemake.output,
        made,
        stage="distill",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=list(snakemake.input),
    )
