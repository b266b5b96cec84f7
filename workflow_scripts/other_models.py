"""List the models of other tasks with their cards, each on its own dataset."""

import pandas as pd

from modelkin import jobs
from modelkin.analysis import tables
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "other models", snakemake.input):
    described = pd.DataFrame(snakemake.params.models)
    cards = dict(zip(described["name"], map(frames.read, snakemake.input.cards), strict=True))
    frames.write(
        snakemake.output[0],
        tables.with_cards(described, cards),
        stage="tables",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
