"""One shell of the similarity table: every pair that this model completes, by every measure."""

from pathlib import Path

import pandas as pd

from modelkin import jobs
from modelkin.comparison import measures, similarity
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.pairs import completed_pairs
from modelkin.comparison.recorded import Recorded
from modelkin.store import frames, manifests, paths

with jobs.running_job(snakemake.log[0], f"similarity {snakemake.wildcards.model}", snakemake.input) as log:
    names, params = snakemake.params.models, snakemake.params
    inputs, folder = list(snakemake.input), paths.study_folder(snakemake.config["study"])
    read = Recorded(folder, names)
    wanted = list(completed_pairs(names[-1], names[:-1], params.dataset, params.kinds))
    settings = jobs.manifest_settings(params)
    about = {"stage": "similarity", "version": params.version}
    output = Path(snakemake.output[0])
    parts = {
        folder / paths.similarity_part(names[-1], label): about
        | {
            "settings": part,
            "inputs": [i for i in inputs if measures.takes_artifact(part["measure"]["name"], i)],
        }
        for label, part in measures.settings_by_measure(settings).items()
    }
    stale = [
        part for part, made in parts.items() if not manifests.is_current(part, suffix=".parquet", **made)
    ]
    log.info("%d pairs, %d of %d measures to compute", len(wanted), len(stale), len(parts))
    if stale:
        chosen = [parts[part]["settings"]["measure"] for part in stale]
        rows = similarity.similarity_rows(
            wanted,
            read,
            [ConfiguredMeasure(item["name"], item["settings"]) for item in chosen],
            permutations=params.permutations,
            seed=params.seed,
            device=jobs.job_device(snakemake.config),
            progress=jobs.Progress(len(wanted), "pairs"),
        )
        for said in similarity.remarks(rows):
            log.warning("%s", said)
        for part, item in zip(stale, chosen, strict=True):
            frames.write(part, rows[rows["measure"] == item["label"]], **parts[part])
    whole = pd.concat([frames.read(part) for part in parts], ignore_index=True)
    frames.write(output, whole, settings=settings, inputs=inputs, **about)
