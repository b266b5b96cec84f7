"""Join what is known of the stitches of all pairs into tables."""

from pathlib import Path

import pandas as pd

from modelkin import jobs
from modelkin.operations.stages.columns import COLUMNS
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "stitching", snakemake.input):
    tables = {}
    for name, folder in (("stitching", "judged"), ("stitching_matching", "matching")):
        found = [frames.read(each) for each in snakemake.input if Path(each).parent.name == folder]
        tables[name] = pd.concat(found, ignore_index=True).reindex(columns=list(COLUMNS[name]))
    frames.write_all(
        snakemake.output,
        tables,
        stage="stitching",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
