"""Make one model's inverted probe of one dataset's images."""

from modelkin import artifacts, computing, images, inversion, jobs, models, tables

with jobs.running(snakemake.log[0], f"invert {snakemake.wildcards.model}", snakemake.input) as log:
    settings = dict(snakemake.params.inversion)
    device = jobs.device(snakemake.config)
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize).folded()
    test = images.load(snakemake.input.dataset, "test")
    pairs = tables.read(snakemake.input.pairs)

    batch_size, mode = (settings.pop(key) for key in ("batch_size", "mode"))
    about = {
        "stage": "invert",
        "version": snakemake.params.version,
        "settings": jobs.settings(snakemake.params),
        "inputs": [snakemake.input.model, snakemake.input.dataset, snakemake.input.pairs],
        "device": computing.named(device),
    }
    kept = artifacts.Parts(snakemake.output[0], **about)
    telling = jobs.Progress(len(pairs) * settings["steps"], "image steps")
    parts = inversion.parts(
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
                kept.keep(number, lambda path, probe=probe: images.save(probe, path))
            data = images.open_(kept.path(number))
            said.append(inversion.Inverted.told(data))
            yield data

    made = artifacts.write(
        snakemake.output[0],
        lambda path: images.save_blocks(stored(), path),
        facts=lambda: inversion.Inverted.joined(said).facts(),
        **about,
    )
    kept.drop()
    log.info("%s", made["facts"])
