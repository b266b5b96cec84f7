"""Join what is known of the stitches of all pairs into tables, and say which blocks can be replaced."""

from pathlib import Path

import pandas as pd

from modelkin import jobs
from modelkin.operations.stages.columns import COLUMNS
from modelkin.stitching.advice import replaceable_table
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "stitching", snakemake.input):
    tables = {}
    for name, folder in (("stitching", "judged"), ("stitching_matching", "matching")):
        found = [
            frames.read(each).assign(task=snakemake.params.tasks[Path(each).stem])
            for each in snakemake.input
            if Path(each).parent.name == folder
        ]
        tables[name] = pd.concat(found, ignore_index=True).reindex(columns=list(COLUMNS[name]))
    trained = tables["stitching"]["start"].notna()
    tables["stitching"].loc[trained & tables["stitching"]["batch_norm"].isna(), "batch_norm"] = "frozen"
    tables["stitching_replaceable"] = replaceable_table(tables["stitching"])
    frames.write_all(
        snakemake.output,
        tables,
        stage="stitching",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
