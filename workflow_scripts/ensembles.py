"""Ensembles of the study's models, and what similarity says of them."""

from pathlib import Path

from modelkin import analyses, artifacts, images, jobs, seeds, tables

with jobs.running(snakemake.log[0], "ensembles"):
    params = snakemake.params
    models = tables.read(snakemake.input.models)
    logits = {
        name: images.open_(artifacts.store(manifest))["logits"].to_numpy()
        for name, manifest in zip(models["name"], snakemake.input.activations, strict=True)
    }
    made = analyses.ensembles(
        logits,
        images.load(snakemake.input.probe).labels,
        tables.read(snakemake.input.similarity),
        params.directions,
        **params.ensembles,
        rng=seeds.generator(params.seed, "ensembles"),
    )
    for manifest in snakemake.output:
        tables.write(
            manifest,
            made[Path(manifest).stem],
            stage="ensembles",
            version=params.version,
            settings={**params.ensembles, "seed": params.seed},
            inputs=list(snakemake.input),
        )
