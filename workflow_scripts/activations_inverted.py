"""One shell on inverted or adversarial probes: this model and all before on its own, and it on theirs."""

from modelkin import jobs, precision, probe_kinds
from modelkin.comparison.activations import activation_chunks
from modelkin.comparison.recorded import shell_runs, where
from modelkin.data.images import load_images
from modelkin.store import arrays
from modelkin.store.manifests import write as write_artifact
from modelkin.store.resumable import ResumableParts

with jobs.running_job(snakemake.log[0], f"activations {snakemake.wildcards.model}", snakemake.input) as log:
    device = jobs.job_device(snakemake.config)
    names, resize = snakemake.params.models, snakemake.params.resize
    kind = probe_kinds.kind_of(snakemake.params.made, snakemake.params.other)
    manifests = dict(zip(names, snakemake.input.models, strict=True))
    probes = dict(zip(names, snakemake.input.probes, strict=True))
    telling = jobs.Progress(2 * len(names) - 1, "runs")
    about = {
        "stage": "activations",
        "version": snakemake.params.version,
        "settings": jobs.manifest_settings(snakemake.params),
        "inputs": [*manifests.values(), *probes.values()],
        "device": precision.describe_device(device),
    }
    kept = ResumableParts(snakemake.output[0], **about)

    def computed(source, observer):
        model = jobs.load_configured_model(snakemake.config, manifests[observer], device, resize)
        return activation_chunks(model, load_images(probes[source]), device=device)

    def save(path):
        for number, (source, observer) in enumerate(shell_runs(names)):
            if number in kept:
                log.info("%s on %s is there from an earlier start", observer, source)
            else:
                blocks = computed(source, observer)
                kept.keep(number, lambda path, blocks=blocks: arrays.write_chunks(blocks, path))
            _, group = where(kind, source, observer, names)
            arrays.write_chunks(arrays.stored_chunks(kept.path(number)), path, group)
            telling(number + 1)

    write_artifact(snakemake.output[0], save, **about)
    kept.drop()
