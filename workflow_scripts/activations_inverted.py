"""One shell on inverted or adversarial probes: this model and all before on its own, and it on theirs."""

from modelkin import activations, artifacts, computing, images, jobs, kinds, models

with jobs.running(snakemake.log[0], f"activations {snakemake.wildcards.model}", snakemake.input) as log:
    device = jobs.device(snakemake.config)
    names, resize = snakemake.params.models, snakemake.params.resize
    kind = kinds.of(snakemake.params.made, snakemake.params.other)
    manifests = dict(zip(names, snakemake.input.models, strict=True))
    probes = dict(zip(names, snakemake.input.probes, strict=True))
    telling = jobs.Progress(2 * len(names) - 1, "runs")

    def save(path):
        for done, (source, observer) in enumerate(activations.shell(names)):
            model = models.load_model(manifests[observer], device, resize)
            _, group = activations.where(kind, source, observer, names)
            images.save_blocks(
                activations.blocks(model, images.load(probes[source]), device=device), path, group
            )
            telling(done + 1)

    artifacts.write(
        snakemake.output[0],
        save,
        stage="activations",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[*manifests.values(), *probes.values()],
        device=computing.named(device),
    )
