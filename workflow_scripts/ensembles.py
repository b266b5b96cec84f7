"""Ensembles of the study's models, and what similarity says of them."""

from modelkin import jobs, seeds
from modelkin.analysis import tables
from modelkin.analysis.ensemble_tables import ensemble_tables
from modelkin.data.images import load_images
from modelkin.store import arrays, frames, manifests

with jobs.running_job(snakemake.log[0], "ensembles", snakemake.input):
    params = snakemake.params
    # Models that are known from imported tables alone answer no image.
    models = frames.read(snakemake.input.models).query("source != 'none'")
    logits = {
        name: arrays.open_dataset(manifests.store_of(manifest))["logits"].to_numpy()
        for name, manifest in zip(models["name"], snakemake.input.activations, strict=True)
    }
    similarity = tables.joined_shells([frames.read(snakemake.input.similarity)], models)
    made = ensemble_tables(
        logits,
        load_images(snakemake.input.probe).labels,
        similarity,
        models,
        params.directions,
        **params.ensembles,
        rng=seeds.generator(params.seed, "ensembles"),
    )
    frames.write_all(
        snakemake.output,
        tables.with_lowest_success(made, similarity),
        stage="ensembles",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
