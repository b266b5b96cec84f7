"""Join the shells into the study's tables."""

import itertools
from pathlib import Path

import pandas as pd

from modelkin import artifacts, components, jobs, kinds, models, relations, tables

with jobs.running(snakemake.log[0], "tables", snakemake.input) as log:
    described = pd.DataFrame(snakemake.params.models)
    names = described["name"]
    trained = dict(zip(names, snakemake.input.models, strict=True))
    cards = dict(zip(names, map(tables.read, snakemake.input.cards), strict=True))
    inverted = [kinds.of("inverted", other) for other in (None, *snakemake.params.others)]
    probes = dict(zip(itertools.product(inverted, names), snakemake.input.probes, strict=True))
    inversions = tables.inversions(
        {probe: artifacts.read(manifest)["facts"] for probe, manifest in probes.items()},
        failed_above=snakemake.params.failed_above,
    )
    attacks = artifacts.facts(snakemake.input.attacks)
    joined = tables.join(
        [tables.read(shell) for shell in (*snakemake.input.similarity, *snakemake.input.imported)], described
    )
    joined = tables.with_attacks(joined, attacks)
    made = {
        "models": tables.describe(
            described,
            cards,
            inversions,
            attacks,
        ),
        "components": components.combined(tables.components(cards), snakemake.params.components),
        "inversions": inversions,
        "similarity": joined,
        "summary": tables.summary(joined, described),
        "asymmetry": tables.asymmetry(joined, described),
        **tables.with_lowest_attacks({"relations": relations.similarities(joined, described)}, joined),
    }
    if any(Path(manifest).stem == "training" for manifest in snakemake.output):
        made["training"] = tables.training({name: models.history(path) for name, path in trained.items()})
    for probe in inversions.query("failed").itertuples():
        log.warning("the %s images of '%s' failed: see tables/inversions.parquet", probe.kind, probe.model)
    for name, found in attacks.items():
        if found["success"] is None or found["success"] < 0.9:
            log.warning("the attack on '%s' fails on its own model: see attack_success in the tables", name)
    for row in made["models"].query("same_weights_as.notna()").itertuples():
        log.warning("'%s' has the same weights as '%s'", row.name, row.same_weights_as)
    tables.write_all(
        snakemake.output,
        made,
        stage="tables",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        inputs=list(snakemake.input),
    )
