"""One model's card: what it is made of, and how accurate it is on clean and on attacked images."""

from modelkin import anatomy, artifacts, computing, images, jobs, models, seeds, tables, training

with jobs.running(snakemake.log[0], f"evaluate {snakemake.wildcards.model}", snakemake.input) as log:
    evaluation, seed = snakemake.params.evaluation, snakemake.params.seed
    device = jobs.device(snakemake.config)
    model = models.load_model(snakemake.input.model, device, snakemake.params.resize)
    found = training.evaluate(
        model.folded(),
        images.load(snakemake.input.dataset, "test"),
        **evaluation,
        seed=seeds.derive(seed, "evaluate", snakemake.wildcards.model) % 2**32,
        device=device,
    )
    if found["at_chance"]:
        log.warning(
            "its accuracy, %.3f, is no better than always naming the commonest class", found["clean_accuracy"]
        )
    tables.write(
        snakemake.output[0],
        tables.card(
            artifacts.read(snakemake.input.model)["facts"],
            found,
            anatomy.read_off(model.network, model.prepared(model.blank(1))),
        ),
        stage="evaluate",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=[snakemake.input.model, snakemake.input.dataset],
        device=computing.named(device),
    )
