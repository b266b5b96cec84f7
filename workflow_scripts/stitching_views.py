"""Join what is seen of the stitched models of all pairs into tables."""

from pathlib import Path

import pandas as pd

from modelkin import jobs
from modelkin.operations.stages.columns import COLUMNS
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "stitching views", snakemake.input):
    tables = {}
    for manifest in snakemake.output:
        name = Path(manifest).stem
        found = [
            frames.read(each).assign(task=snakemake.params.tasks[Path(each).stem])
            for each in snakemake.input
            if Path(each).parent.name == name.removeprefix("stitching_")
        ]
        tables[name] = pd.concat(found, ignore_index=True).reindex(columns=list(COLUMNS[name]))
    frames.write_all(
        snakemake.output,
        tables,
        stage="stitching_views",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
