"""Cluster the models by every measure on every kind of probe."""

from modelkin import jobs, seeds
from modelkin.analysis import tables
from modelkin.analysis.cluster_tables import cluster_tables
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "clusters", snakemake.input):
    params = snakemake.params
    similarity = frames.read(snakemake.input.similarity)
    made = cluster_tables(
        similarity,
        frames.read(snakemake.input.models),
        params.directions,
        **params.clusters,
        seed=seeds.derive_seed(params.seed, "clusters"),
    )
    frames.write_all(
        snakemake.output,
        tables.with_lowest_success(made, similarity),
        stage="clusters",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
