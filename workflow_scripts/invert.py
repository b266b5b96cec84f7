"""Make one model's inverted probe of one dataset's images."""

from modelkin import artifacts, computing, images, inversion, jobs, models, tables

with jobs.running(snakemake.log[0], f"invert {snakemake.wildcards.model}") as log:
    settings = dict(snakemake.params.inversion)
    device = jobs.device(snakemake.config)
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize).folded()
    test = images.load(snakemake.input.dataset, "test")
    pairs = tables.read(snakemake.input.pairs)

    batch_size, mode = (settings.pop(key) for key in ("batch_size", "mode"))
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
    )
    said = []

    def stored():
        for part, found in parts:
            said.append(found.without_images())
            yield found.to_dataset(part, test.classes)

    made = artifacts.write(
        snakemake.output[0],
        lambda path: images.save_blocks(stored(), path),
        stage="invert",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.dataset, snakemake.input.pairs],
        facts=lambda: inversion.Inverted.joined(said).facts(),
        device=computing.named(device),
    )
    log.info("%s", made["facts"])
