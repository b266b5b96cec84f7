"""Take in one model that was trained elsewhere: check it, find its head, keep it like one of our own."""

from modelkin import computing, images, jobs, models

with jobs.running(snakemake.log[0], f"import {snakemake.wildcards.model}", snakemake.input) as log:
    entry, resize = snakemake.params.entry, snakemake.params.resize
    device = jobs.device(snakemake.config)
    test = images.load(snakemake.input.dataset, "test")
    model = models.from_source(images=test, resize=resize, **entry).to(device)
    models.check_fits(model, test, snakemake.wildcards.model)
    log.info("head '%s', images of %d pixels", model.head, model.size)
    models.write(
        snakemake.output[0],
        model,
        [],
        stage="import",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[snakemake.input.dataset],
        device=computing.named(device),
    )
