"""Make one model's inverted probe of one dataset's images."""

from modelkin import jobs, precision
from modelkin.data.images import load_images
from modelkin.optimise import inversion
from modelkin.store import arrays, frames, manifests
from modelkin.store.resumable import ResumableParts

with jobs.running_job(snakemake.log[0], f"invert {snakemake.wildcards.model}", snakemake.input) as log:
    settings = dict(snakemake.params.inversion)
    device = jobs.job_device(snakemake.config)
    model = jobs.load_configured_model(
        snakemake.config, snakemake.input.model, device, snakemake.params.resize
    ).folded()
    test = load_images(snakemake.input.dataset, "test")
    pairs = frames.read(snakemake.input.pairs)

    batch_size, mode = (settings.pop(key) for key in ("batch_size", "mode"))
    about = {
        "stage": "invert",
        "version": snakemake.params.version,
        "settings": jobs.manifest_settings(snakemake.params),
        "inputs": [snakemake.input.model, snakemake.input.dataset, snakemake.input.pairs],
        "device": precision.describe_device(device),
    }
    kept = ResumableParts(snakemake.output[0], **about)
    telling = jobs.Progress(len(pairs) * settings["steps"], "image steps")
    parts = inversion.invert_in_parts(
        model,
        test,
        pairs,
        inversion.MODES[mode](**settings),
        batch_size=batch_size,
        device=device,
        progress=lambda done, evaluations, loss: telling(
            evaluations, f"{done} images done, median loss {loss:.3f}"
        ),
        finished=kept,
    )
    said = []

    def stored():
        for number, (part, found) in enumerate(parts):
            if found is None:
                log.info("part %d is there from an earlier start", number + 1)
            else:
                probe = found.to_dataset(part, test.classes)
                kept.keep(number, lambda path, probe=probe: arrays.write(probe, path))
            data = arrays.open_dataset(kept.path(number))
            said.append(inversion.Inverted.told(data))
            yield data

    made = manifests.write(
        snakemake.output[0],
        lambda path: arrays.write_chunks(stored(), path),
        facts=lambda: inversion.Inverted.joined(said).facts(),
        **about,
    )
    kept.drop()
    log.info("%s", made["facts"])
