"""Train one model and keep its weights, its history and its accuracies."""

from modelkin import images, jobs, models, seeds, training

with jobs.running(snakemake.log[0], f"train {snakemake.wildcards.model}") as log:
    (dataset,) = snakemake.input
    settings, seed = snakemake.params.training, snakemake.params.seed
    device = jobs.device(snakemake.config.get("device", "auto"))
    train, test = (images.load(dataset, name) for name in ("train", "test"))

    model, history = training.train(
        train,
        test,
        settings,
        seed=seeds.derive(seed, "train", snakemake.wildcards.model),
        device=device,
        progress=jobs.Progress(settings["epochs"], "epochs"),
    )
    models.check_fits(model, test, snakemake.wildcards.model)
    accuracies = training.evaluate(model, test, device=device, **snakemake.params.evaluation)
    log.info("%s", accuracies)
    models.write(
        snakemake.output[0],
        model,
        history,
        stage="train",
        version=snakemake.params.version,
        settings={"training": settings, "evaluation": snakemake.params.evaluation, "seed": seed},
        inputs=[dataset],
        facts=accuracies,
        device=device.type,
    )
