"""One shell on inverted probes: this model and all before it on its probe, and it on theirs."""

from modelkin import activations, artifacts, images, jobs, models

with jobs.running(snakemake.log[0], f"activations {snakemake.wildcards.model}") as log:
    device = jobs.device(snakemake.config.get("device", "auto"))
    names = snakemake.params.models
    manifests = dict(zip(names, snakemake.input.models, strict=True))
    probes = dict(zip(names, snakemake.input.probes, strict=True))
    telling = jobs.Progress(2 * len(names) - 1, "runs")

    def probe(source):
        return images.load(probes[source])

    def save(path):
        for done, (source, observer) in enumerate(activations.shell(names)):
            found = activations.of(
                models.load_model(manifests[observer], device), probe(source), device=device
            )
            _, group = activations.where("inverted", source, observer, names)
            images.save(found, path, group=group)
            telling(done + 1)

    artifacts.write(
        snakemake.output[0],
        save,
        stage="activations",
        version=snakemake.params.version,
        inputs=[*manifests.values(), *probes.values()],
        device=device.type,
    )
