"""Make one model's inverted probe of one dataset's images."""

from modelkin import jobs, precision
from modelkin.data.images import load_images
from modelkin.optimise import inversion, inversion_modes
from modelkin.store import frames
from modelkin.store.resumable import Part, write_in_parts

with jobs.running_job(snakemake.log[0], f"invert {snakemake.wildcards.model}", snakemake.input) as log:
    settings = dict(snakemake.params.inversion)
    device = jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, snakemake.params.resize
    ).folded()
    pairs = frames.read(snakemake.input.pairs)
    batch_size, mode = (settings.pop(key) for key in ("batch_size", "mode"))
    rescue_above = settings.pop("rescue_above", None)
    tries = 1 if rescue_above is None else inversion_modes.TRIES
    progress = jobs.Progress(len(pairs) * settings["steps"] * tries, "image steps")
    parts = inversion.inversion_parts(
        model,
        load_images(snakemake.input.dataset, "test"),
        pairs,
        inversion.MODES[mode](**settings),
        batch_size=batch_size,
        device=device,
        rescue_above=rescue_above,
        progress=lambda done, evaluations, loss: progress(
            evaluations, f"{done} images done, median loss {loss:.3f}"
        ),
    )
    reports = []
    made = write_in_parts(
        snakemake.output[0],
        (
            Part(lambda invert=invert: [invert()], name=f"part {number}")
            for number, invert in enumerate(parts, start=1)
        ),
        look=lambda chunk: reports.append(inversion.Inverted.told(chunk)),
        facts=lambda: inversion.Inverted.joined(reports).facts(),
        stage="invert",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.dataset, snakemake.input.pairs],
        device=precision.describe_device(device),
    )
    log.info("%s", made["facts"])
