"""One shell on inverted or adversarial probes: this model and all before on its own, and it on theirs."""

from modelkin import jobs, precision, probe_kinds
from modelkin.comparison.activations import activation_chunks
from modelkin.comparison.recorded import shell_runs, stored_at
from modelkin.data.images import load_images
from modelkin.store.resumable import Part, write_in_parts

with jobs.running_job(snakemake.log[0], f"activations {snakemake.wildcards.model}", snakemake.input):
    device = jobs.job_device(snakemake.config)
    names, resize = snakemake.params.models, snakemake.params.resize
    models = dict(zip(names, snakemake.input.models, strict=True))
    probes = dict(zip(names, snakemake.input.probes, strict=True))
    progress = jobs.Progress(2 * len(names) - 1, "runs")

    def computed(run):
        model = jobs.load_configured_model(snakemake.config, models[run.observer], device, resize)
        return activation_chunks(model, load_images(probes[run.source]), device=device)

    def parts():
        kind = probe_kinds.kind_of(snakemake.params.made, snakemake.params.other)
        for number, run in enumerate(shell_runs(kind, names), start=1):
            _, group = stored_at(run, names)
            yield Part(lambda run=run: computed(run), group, f"{run.observer} on {run.source}")
            progress(number)

    write_in_parts(
        snakemake.output[0],
        parts(),
        stage="activations",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[*models.values(), *probes.values()],
        device=precision.describe_device(device),
    )
