"""Where one model decides: on planes through natural images, and on the way from each to another class."""

from modelkin import artifacts, boundaries, computing, images, jobs, models, seeds

with jobs.running(snakemake.log[0], f"boundaries {snakemake.wildcards.model}", snakemake.input) as log:
    params, device = snakemake.params, jobs.device(snakemake.config)
    model = models.load_model(snakemake.input.model, device, params.resize).folded()
    probe = images.load(snakemake.input.probe)
    makers = {"regions": boundaries.regions, "distances": boundaries.distances}

    def save(path):
        for what, settings in params.boundaries.items():
            # Not of the model's name: all models are asked the same.
            rng = seeds.generator(params.seed, "boundaries", what)
            images.save(makers[what](model, probe, rng, device=device, **settings), path, group=what)
            log.info("%s: %s", what, settings)

    artifacts.write(
        snakemake.output[0],
        save,
        stage="boundaries",
        version=params.version,
        settings=jobs.settings(params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        device=computing.named(device),
    )
