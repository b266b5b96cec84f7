"""Make one model's inverted probe of one dataset's images."""

from modelkin import artifacts, images, inversion, jobs, models, tables

with jobs.running(snakemake.log[0], f"invert {snakemake.wildcards.model}") as log:
    settings = dict(snakemake.params.inversion)
    device = jobs.device(snakemake.config.get("device", "auto"))
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize).folded()
    test = images.load(snakemake.input.dataset, "test")
    pairs = tables.read(snakemake.input.pairs)

    batch_size = settings.pop("batch_size")
    telling = jobs.Progress(len(pairs) * settings["steps"], "image steps")
    parts = inversion.parts(
        model,
        test,
        pairs,
        inversion.settings(**settings),
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
        device=device.type,
    )
    log.info("%s", made["facts"])
