"""Ensembles of the study's models, and what similarity says of them."""

from modelkin import analyses, artifacts, images, jobs, seeds, tables

with jobs.running(snakemake.log[0], "ensembles", snakemake.input):
    params = snakemake.params
    models = tables.read(snakemake.input.models)
    logits = {
        name: images.open_(artifacts.store(manifest))["logits"].to_numpy()
        for name, manifest in zip(models["name"], snakemake.input.activations, strict=True)
    }
    similarity = tables.read(snakemake.input.similarity)
    made = analyses.ensembles(
        logits,
        images.load(snakemake.input.probe).labels,
        similarity,
        models,
        params.directions,
        **params.ensembles,
        rng=seeds.generator(params.seed, "ensembles"),
    )
    tables.write_all(
        snakemake.output,
        tables.with_lowest_attacks(made, similarity),
        stage="ensembles",
        version=params.version,
        settings=jobs.settings(params),
        inputs=list(snakemake.input),
    )
