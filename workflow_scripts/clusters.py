"""Cluster the models by every measure on every kind of probe."""

from modelkin import analyses, jobs, seeds, tables

with jobs.running(snakemake.log[0], "clusters", snakemake.input):
    params = snakemake.params
    similarity = tables.read(snakemake.input.similarity)
    made = analyses.clusters(
        similarity,
        tables.read(snakemake.input.models),
        params.directions,
        **params.clusters,
        seed=seeds.derive(params.seed, "clusters"),
    )
    tables.write_all(
        snakemake.output,
        tables.with_lowest_attacks(made, similarity),
        stage="clusters",
        version=params.version,
        settings=jobs.settings(params),
        inputs=list(snakemake.input),
    )
