"""Join what snapshots are worth into one table."""

import pandas as pd

from modelkin import jobs
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "training epochs", snakemake.input):
    frames.write(
        snakemake.output[0],
        pd.concat(map(frames.read, snakemake.input), ignore_index=True),
        stage="training_epochs",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
