"""Join what is known of heads on other models' representations into a table, with the models' levels."""

import pandas as pd

from modelkin import jobs
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "stitching agreement", snakemake.input):
    params = snakemake.params
    found = [table for each in snakemake.input if len(table := frames.read(each))]
    table = pd.concat(found, ignore_index=True)
    table = table[table["body"].isin(params.levels) & table["head"].isin(params.levels)]
    for role in ("body", "head"):
        norms, radii = zip(*(params.levels[name] for name in table[role]), strict=True)
        table[f"norm_{role}"], table[f"eps_{role}"] = norms, radii
    frames.write_all(
        snakemake.output,
        {"stitching_agreement": table.reset_index(drop=True)},
        stage="stitching_agreement",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
