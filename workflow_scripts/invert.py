"""Make one model's inverted probe."""

import torch

from modelkin import artifacts, images, inversion, jobs, models, tables

with jobs.running(snakemake.log[0], f"invert {snakemake.wildcards.model}") as log:
    settings = dict(snakemake.params.inversion)
    device = jobs.device(snakemake.config.get("device", "auto"))
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize)
    test = images.load(snakemake.input.dataset, "test")
    pairs = tables.read(snakemake.input.pairs)
    seeds, targets = (
        models.resized(
            torch.from_numpy(test.floats(test.rows(pairs[role]))).to(device), model.size, model.resize
        )
        for role in ("seed", "target")
    )

    batch_size = settings.pop("batch_size") or models.batch_rows(model.size, device)
    descent = inversion.settings(**settings)
    telling = jobs.Progress(len(pairs) * settings["steps"], "image steps")
    found = inversion.invert(
        model,
        seeds,
        targets,
        descent,
        batch_size=batch_size,
        progress=lambda done, evaluations, loss: telling(
            evaluations, f"{done} images done, median loss {loss:.3f}"
        ),
    )
    facts = found.facts()
    log.info("%s", facts)
    artifacts.write(
        snakemake.output[0],
        lambda path: images.save(found.to_dataset(pairs, test.classes), path),
        stage="invert",
        version=snakemake.params.version,
        settings={**snakemake.params.inversion, "resize": snakemake.params.resize},
        inputs=[snakemake.input.model, snakemake.input.dataset, snakemake.input.pairs],
        facts=facts,
        device=device.type,
    )
