"""One model on a natural probe, with saliency if that is of the study's own dataset."""

from modelkin import jobs, precision
from modelkin.comparison.activations import activation_chunks, saliency_chunks
from modelkin.data.images import load_images
from modelkin.networks import building
from modelkin.store import arrays, manifests

with jobs.running_job(snakemake.log[0], f"activations {snakemake.wildcards.model}", snakemake.input):
    device = jobs.job_device(snakemake.config)
    own, resize = not snakemake.wildcards.on, snakemake.params.resize
    model = jobs.load_configured_model(snakemake.config, snakemake.input.model, device, resize)
    probe = load_images(snakemake.input.probe)
    if own:
        building.check_fits(model, probe, snakemake.wildcards.model)

    def save(path):
        arrays.write_chunks(activation_chunks(model, probe, device=device), path)
        if own:
            few = probe.spread(snakemake.params.saliency)
            arrays.write_chunks(saliency_chunks(model, few, device=device), path, group="saliency")

    manifests.write(
        snakemake.output[0],
        save,
        stage="activations",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        device=precision.describe_device(device),
    )
