"""What a new model's own adversarial images say of its similarity to the others, and how wrong that is."""

from pathlib import Path

from modelkin import activations, artifacts, jobs, shortcut, tables

with jobs.running(snakemake.log[0], "sat_shortcut", snakemake.input) as log:
    params = snakemake.params
    read = activations.reader(Path(snakemake.input.natural[0]).parents[2], params.order)
    right, fooled = activations.transfer(read, params.models)
    attacks = artifacts.facts(snakemake.input.attacks)
    rows = shortcut.pairs(right, fooled)
    models = shortcut.by_model(rows, {name: found["success"] for name, found in attacks.items()})
    log.info("mean absolute error %.3f", models["mean_absolute_error"].mean())
    tables.write_all(
        snakemake.output,
        {"sat_shortcut": rows, "sat_shortcut_models": models},
        stage="sat_shortcut",
        version=params.version,
        settings=jobs.settings(params),
        inputs=list(snakemake.input),
    )
