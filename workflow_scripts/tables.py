"""Join the shells into the study's tables."""

from pathlib import Path

import pandas as pd

from modelkin import artifacts, jobs, models, tables

with jobs.running(snakemake.log[0], "tables") as log:
    described = pd.DataFrame(snakemake.params.models)
    names = described["name"]
    trained = dict(zip(names, snakemake.input.models, strict=True))
    probes = dict(zip(names, snakemake.input.probes, strict=True))
    joined = tables.join([tables.read(shell) for shell in snakemake.input.similarity], described)
    made = {
        "models": tables.describe(
            described,
            {name: artifacts.read(manifest)["facts"] for name, manifest in trained.items()},
            {name: artifacts.read(manifest)["facts"] for name, manifest in probes.items()},
            failed_above=snakemake.params.failed_above,
        ),
        "similarity": joined,
        "summary": tables.summary(joined, described),
        "asymmetry": tables.asymmetry(joined, described),
    }
    if any(Path(manifest).stem == "training" for manifest in snakemake.output):
        made["training"] = tables.training({name: models.history(path) for name, path in trained.items()})
    for name in made["models"].query("inversion_failed")["name"]:
        log.warning("the inversions of '%s' failed: see tables/models.parquet", name)
    tables.write_all(
        snakemake.output,
        made,
        stage="tables",
        version=snakemake.params.version,
        settings={"models": snakemake.params.models, "failed_above": snakemake.params.failed_above},
        inputs=[*trained.values(), *probes.values(), *snakemake.input.similarity],
    )
