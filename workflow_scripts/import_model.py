"""Take in one model that was trained elsewhere: check it, find its head, keep it like one of our own."""

from modelkin import jobs, precision
from modelkin.data.images import load_images
from modelkin.networks import building, hub, sources
from modelkin.networks.weights import write_model
from modelkin.store.outside_files import WatchedFiles

with jobs.running_job(snakemake.log[0], f"import {snakemake.wildcards.model}", snakemake.input) as log:
    entry, resize = snakemake.params.entry, snakemake.params.resize
    device = jobs.job_device(snakemake.config)
    files = WatchedFiles(sources.outside(**entry))
    test = load_images(snakemake.input.dataset, "test")
    model = building.from_source(images=test, resize=resize, **entry).to(device)
    building.check_fits(model, test, snakemake.wildcards.model)
    named = hub.described([model.hub] if model.hub else [])
    log.info("head '%s', images of %d pixels", model.head, model.size)
    write_model(
        snakemake.output[0],
        model,
        [],
        stage="import",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.dataset],
        device=precision.describe_device(device),
        outside=lambda: files.described() | named,
    )
