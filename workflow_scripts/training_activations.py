"""One model's representations of training images, on which those of others are mapped."""

from modelkin import jobs, precision
from modelkin.comparison.activations import activation_parts
from modelkin.data.images import load_images
from modelkin.store.resumable import Part, write_in_parts

name = snakemake.wildcards.model
with jobs.running_job(snakemake.log[0], f"training activations {name}", snakemake.input):
    params = snakemake.params
    device = jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(snakemake.config, snakemake.input.model, device, params.resize)
    images = load_images(snakemake.input.dataset, "train").spread(params.images)
    computed = enumerate(activation_parts(model, images, device=device), start=1)
    write_in_parts(
        snakemake.output[0],
        (Part(lambda compute=compute: [compute()], None, f"part {number}") for number, compute in computed),
        stage="training_activations",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=[snakemake.input.model, snakemake.input.dataset],
        device=precision.describe_device(device),
    )
