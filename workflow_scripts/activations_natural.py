"""One model on a natural probe, with saliency if that is of the study's own dataset."""

from modelkin import jobs, precision
from modelkin.comparison.activations import activation_parts, saliency_parts
from modelkin.data.images import load_images
from modelkin.networks.building import check_fits
from modelkin.store.resumable import Part, write_in_parts

with jobs.running_job(snakemake.log[0], f"activations {snakemake.wildcards.model}", snakemake.input):
    device = jobs.job_device(snakemake.config)
    own = not snakemake.wildcards.on
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, snakemake.params.resize
    )
    probe = load_images(snakemake.input.probe)
    if own:
        check_fits(model, probe, snakemake.wildcards.model)

    def parts():
        for number, compute in enumerate(activation_parts(model, probe, device=device), start=1):
            yield Part(lambda compute=compute: [compute()], None, f"part {number}")
        if own:
            few = probe.spread(snakemake.params.saliency)
            for number, compute in enumerate(saliency_parts(model, few, device=device), start=1):
                yield Part(lambda compute=compute: [compute()], "saliency", f"saliency, part {number}")

    write_in_parts(
        snakemake.output[0],
        parts(),
        stage="activations",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        device=precision.describe_device(device),
    )
