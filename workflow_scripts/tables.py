"""Join the shells into the study's tables."""

import itertools
from pathlib import Path

import pandas as pd

from modelkin import jobs, probe_kinds
from modelkin.analysis import relations, tables
from modelkin.networks.weights import training_history
from modelkin.store import arrays, frames, manifests, paths

with jobs.running_job(snakemake.log[0], "tables", snakemake.input) as log:
    described = pd.DataFrame(snakemake.params.models).drop(columns="source", errors="ignore")
    # Models that are known from imported tables alone have no cards and no probes.
    names = [row["name"] for row in snakemake.params.models if row.get("source") != "none"]
    trained = dict(zip(names, snakemake.input.models, strict=True))
    cards = dict(zip(names, map(frames.read, snakemake.input.cards), strict=True))
    inverted = [probe_kinds.kind_of("inverted", other) for other in (None, *snakemake.params.others)]
    probes = dict(zip(itertools.product(inverted, names), snakemake.input.probes, strict=True))
    inversions = tables.inversions_table(
        {
            probe: manifests.read(manifest)["facts"]
            | {"loss": arrays.open_dataset(manifests.store_of(manifest))["loss"].to_numpy()}
            for probe, manifest in probes.items()
        },
        failed_above=snakemake.params.failed_above,
    )
    attacked = paths.by_kind(snakemake.input.attacks)
    attacks = {kind: manifests.facts(made) for kind, made in attacked.items()}
    joined = tables.joined_shells(
        [frames.read(shell) for shell in (*snakemake.input.similarity, *snakemake.input.imported)], described
    )
    joined = tables.with_inversion_success(tables.with_attack_success(joined, attacks), inversions)
    models = tables.models_table(described, cards, inversions, attacks)
    made = {
        "models": models,
        "components": tables.combined_components(tables.components_table(cards), snakemake.params.components),
        "inversions": inversions,
        "similarity": joined,
        "summary": tables.summary(joined, models),
        "asymmetry": tables.asymmetry(joined, models),
        **tables.with_lowest_success({"relations": relations.relation_similarities(joined, models)}, joined),
    }
    if any(Path(manifest).stem == "training" for manifest in snakemake.output):
        made["training"] = tables.training_table(
            {name: training_history(path) for name, path in trained.items()}
        )
    for probe in inversions.query("failed").itertuples():
        log.warning("the %s images of '%s' failed: see tables/inversions.parquet", probe.kind, probe.model)
    for kind, facts in attacks.items():
        for name, found in facts.items():
            if found["success"] is None or found["success"] < 0.9:
                column = tables.attack_column("success", kind)
                log.warning("the attack on '%s' fails on its own model: see %s in the tables", name, column)
    for row in made["models"].query("same_weights_as.notna()").itertuples():
        log.warning(
            "'%s' has the same weights as '%s': means over pairs of models leave it out",
            row.name,
            row.same_weights_as,
        )
    frames.write_all(
        snakemake.output,
        made,
        stage="tables",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        inputs=list(snakemake.input),
    )
