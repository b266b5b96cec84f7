"""Train one model and keep its weights and its history."""

from modelkin import computing, images, jobs, models, seeds, training

with jobs.running(snakemake.log[0], f"train {snakemake.wildcards.model}", snakemake.input):
    (dataset,) = snakemake.input
    settings, seed = snakemake.params.training, snakemake.params.seed
    device = jobs.device(snakemake.config)
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
    models.write(
        snakemake.output[0],
        model,
        history,
        stage="train",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[dataset],
        device=computing.named(device),
    )
