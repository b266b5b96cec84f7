"""One shell on inverted or adversarial probes: this model and all before on its own, and it on theirs."""

from modelkin import activations, artifacts, computing, images, jobs, kinds, models

with jobs.running(snakemake.log[0], f"activations {snakemake.wildcards.model}", snakemake.input) as log:
    device = jobs.device(snakemake.config)
    names, resize = snakemake.params.models, snakemake.params.resize
    kind = kinds.of(snakemake.params.made, snakemake.params.other)
    manifests = dict(zip(names, snakemake.input.models, strict=True))
    probes = dict(zip(names, snakemake.input.probes, strict=True))
    telling = jobs.Progress(2 * len(names) - 1, "runs")
    about = {
        "stage": "activations",
        "version": snakemake.params.version,
        "settings": jobs.settings(snakemake.params),
        "inputs": [*manifests.values(), *probes.values()],
        "device": computing.named(device),
    }
    kept = artifacts.Parts(snakemake.output[0], **about)

    def computed(source, observer):
        model = models.load_model(manifests[observer], device, resize)
        return activations.blocks(model, images.load(probes[source]), device=device)

    def save(path):
        for number, (source, observer) in enumerate(activations.shell(names)):
            if number in kept:
                log.info("%s on %s is there from an earlier start", observer, source)
            else:
                blocks = computed(source, observer)
                kept.keep(number, lambda path, blocks=blocks: images.save_blocks(blocks, path))
            _, group = activations.where(kind, source, observer, names)
            images.save_blocks(images.stored_blocks(kept.path(number)), path, group)
            telling(number + 1)

    artifacts.write(snakemake.output[0], save, **about)
    kept.drop()
