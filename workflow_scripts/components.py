"""What the components of the architectures say of similarity, and of the clusters."""

from modelkin import jobs, seeds
from modelkin.analysis import component_importance, tables
from modelkin.store import frames

with jobs.running_job(snakemake.log[0], "components", snakemake.input):
    params = snakemake.params
    similarity = frames.read(snakemake.input.similarity)
    made = component_importance.component_tables(
        frames.read(snakemake.input.components),
        similarity,
        frames.read(snakemake.input.clusters),
        frames.read(snakemake.input.models),
        seed=seeds.derive_seed(params.seed, "components"),
    )
    frames.write_all(
        snakemake.output,
        tables.with_lowest_success(made, similarity),
        stage="components",
        version=params.version,
        settings=jobs.manifest_settings(params),
        inputs=list(snakemake.input),
    )
