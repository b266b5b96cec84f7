"""One shell of the similarity table: every pair that this model completes, by every measure."""

from pathlib import Path

import pandas as pd

from modelkin import activations, artifacts, jobs, measures, similarity, tables
from modelkin.measures import Measured

with jobs.running(snakemake.log[0], f"similarity {snakemake.wildcards.model}", snakemake.input) as log:
    names, params = snakemake.params.models, snakemake.params
    inputs = list(snakemake.input)
    read = activations.reader(Path(snakemake.output[0]).parents[1], names)
    wanted = list(similarity.pairs(names[-1], names[:-1], params.dataset, params.kinds))
    settings = jobs.settings(params)
    about = {"stage": "similarity", "version": params.version}
    output = Path(snakemake.output[0])
    parts = {
        output.with_suffix("") / f"{label}.json": about
        | {"settings": part, "inputs": [i for i in inputs if measures.rests_on(part["measure"]["name"], i)]}
        for label, part in measures.parts(settings).items()
    }
    stale = [part for part, made in parts.items() if not artifacts.current(part, suffix=".parquet", **made)]
    log.info("%d pairs, %d of %d measures to compute", len(wanted), len(stale), len(parts))
    if stale:
        chosen = [parts[part]["settings"]["measure"] for part in stale]
        rows = similarity.rows(
            wanted,
            read,
            [Measured(item["name"], item["settings"]) for item in chosen],
            permutations=params.permutations,
            seed=params.seed,
            device=jobs.device(snakemake.config),
            progress=jobs.Progress(len(wanted), "pairs"),
        )
        for said in similarity.remarks(rows):
            log.warning("%s", said)
        for part, item in zip(stale, chosen, strict=True):
            tables.write(part, rows[rows["measure"] == item["label"]], **parts[part])
    whole = pd.concat([tables.read(part) for part in parts], ignore_index=True)
    tables.write(output, whole, settings=settings, inputs=inputs, **about)
