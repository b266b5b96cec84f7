"""What to do with the study's own models: which to ensemble, and which to choose as a teacher."""

import pandas as pd

from modelkin import analyses, jobs, tables

with jobs.running(snakemake.log[0], "recommendations", snakemake.input):
    students = [tables.read(manifest) for manifest in snakemake.input.students]
    tables.write(
        snakemake.output[0],
        analyses.recommendations(
            tables.read(snakemake.input.best),
            pd.concat(students) if students else None,
            student=snakemake.params.student,
        ),
        stage="recommendations",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=list(snakemake.input),
    )
