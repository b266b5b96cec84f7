"""Take every measure anew on parts of its images, to see how much its values change."""

from pathlib import Path

from modelkin import activations, artifacts, draws, jobs, similarity, tables
from modelkin.measures import Measured

with jobs.running(snakemake.log[0], "draws", snakemake.input):
    params = snakemake.params
    read = activations.reader(Path(snakemake.input.activations[0]).parents[2], params.order)
    names = params.models
    wanted = [
        pair
        for place, name in enumerate(names)
        for pair in similarity.pairs(name, names[:place], params.dataset, params.kinds)
    ]
    rows = draws.values(
        wanted,
        read,
        [Measured(item["name"], item["settings"]) for item in params.measures],
        repeats=params.repeats,
        seed=params.seed,
        device=jobs.device(snakemake.config),
    )
    attacks = artifacts.facts(snakemake.input.attacks)
    made = {"draws": draws.spread(rows)}
    tables.write_all(
        snakemake.output,
        tables.with_lowest_attacks(made, tables.with_attacks(rows, attacks)),
        stage="draws",
        version=params.version,
        settings=jobs.settings(params),
        inputs=list(snakemake.input),
    )
