"""Where one model decides: on planes through natural images, and on the way from each to another class."""

from modelkin import jobs, precision, seeds
from modelkin.comparison import boundaries
from modelkin.data.images import load_images
from modelkin.store.resumable import Part, write_in_parts

with jobs.running_job(snakemake.log[0], f"boundaries {snakemake.wildcards.model}", snakemake.input) as log:
    params, device = snakemake.params, jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, params.resize
    ).folded()
    probe = load_images(snakemake.input.probe)
    makers = {"regions": boundaries.decision_regions_of, "distances": boundaries.boundary_distances_of}

    def computed(what, settings):
        log.info("%s: %s", what, settings)
        # Not of the model's name: all models are asked the same.
        rng = seeds.generator(params.seed, "boundaries", what)
        return [makers[what](model, probe, rng, device=device, **settings)]

    write_in_parts(
        snakemake.output[0],
        [
            Part(lambda asked=asked: computed(*asked), group=asked[0], name=asked[0])
            for asked in params.boundaries.items()
        ],
        stage="boundaries",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        device=precision.describe_device(device),
    )
