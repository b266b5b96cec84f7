"""One model on a natural probe, with saliency if that is of the study's own dataset."""

from modelkin import activations, artifacts, computing, images, jobs, models

with jobs.running(snakemake.log[0], f"activations {snakemake.wildcards.model}", snakemake.input):
    device = jobs.device(snakemake.config)
    own, resize = not snakemake.wildcards.on, snakemake.params.resize
    model = models.load_model(snakemake.input.model, device, resize)
    probe = images.load(snakemake.input.probe)
    if own:
        models.check_fits(model, probe, snakemake.wildcards.model)

    def save(path):
        images.save_blocks(activations.blocks(model, probe, device=device), path)
        if own:
            few = probe.spread(snakemake.params.saliency)
            images.save_blocks(activations.saliency(model, few, device=device), path, group="saliency")

    artifacts.write(
        snakemake.output[0],
        save,
        stage="activations",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.probe],
        device=computing.named(device),
    )
