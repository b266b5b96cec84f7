"""One model on the natural probe, with saliency."""

from modelkin import activations, artifacts, images, jobs, models

with jobs.running(snakemake.log[0], f"activations {snakemake.wildcards.model}"):
    device = jobs.device(snakemake.config.get("device", "auto"))
    model = models.load_model(snakemake.input.model, device)
    probe = images.load(snakemake.input.probe)
    models.check_fits(model, probe, snakemake.wildcards.model)
    found = activations.of(model, probe, saliency=True, device=device)
    artifacts.write(
        snakemake.output[0],
        lambda path: images.save(found, path),
        stage="activations",
        version=snakemake.params.version,
        inputs=[snakemake.input.model, snakemake.input.probe],
        facts={"shapes": {name: variable.shape for name, variable in found.items()}},
        device=device.type,
    )
