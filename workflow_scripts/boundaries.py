"""Where one model decides: on planes through natural images, and on the way from each to another class."""

from modelkin import jobs, precision, seeds
from modelkin.comparison import boundaries
from modelkin.data.images import load_images
from modelkin.store import arrays, manifests

with jobs.running_job(snakemake.log[0], f"boundaries {snakemake.wildcards.model}", snakemake.input) as log:
    params, device = snakemake.params, jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, params.resize
    ).folded()
    probe = load_images(snakemake.input.probe)
    makers = {"regions": boundaries.decision_regions_of, "distances": boundaries.boundary_distances_of}

    def save(path):
        for what, settings in params.boundaries.items():
            # Not of the model's name: all models are asked the same.
            rng = seeds.generator(params.seed, "boundaries", what)
            arrays.write(makers[what](model, probe, rng, device=device, **settings), path, group=what)
            log.info("%s: %s", what, settings)

    manifests.write(
        snakemake.output[0],
        save,
        stage="boundaries",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        device=precision.describe_device(device),
    )
