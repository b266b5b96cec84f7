"""What to do with the study's own models: which to ensemble, and which to choose as a teacher."""

import pandas as pd

from modelkin import jobs
from modelkin.analysis.recommendations import recommendations_table
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "recommendations", snakemake.input):
    students = [frames.read(manifest) for manifest in snakemake.input.students]
    frames.write(
        snakemake.output[0],
        recommendations_table(
            frames.read(snakemake.input.best),
            pd.concat(students) if students else None,
            student=snakemake.params.student,
        ),
        stage="recommendations",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
