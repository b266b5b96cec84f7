"""Take in one checkpoint of the user's: check it, find its head, measure its accuracies."""

import torch

from modelkin import images, jobs, models, training

with jobs.running(snakemake.log[0], f"import {snakemake.wildcards.model}") as log:
    checkpoint, evaluation = snakemake.params.checkpoint, snakemake.params.evaluation
    device = jobs.device(snakemake.config.get("device", "auto"))
    test = images.load(snakemake.input.dataset, "test")
    model = models.from_checkpoint(example=torch.from_numpy(test.pixels[:2]), **checkpoint).to(device)
    models.check_fits(model, test, snakemake.wildcards.model)
    accuracies = training.evaluate(model, test, device=device, **evaluation)
    log.info("head '%s', %s", model.head, accuracies)
    models.write(
        snakemake.output[0],
        model,
        [],
        stage="import",
        version=snakemake.params.version,
        settings={"checkpoint": checkpoint, "evaluation": evaluation},
        inputs=[snakemake.input.dataset],
        facts=accuracies,
        device=device.type,
    )
