"""What the components of the architectures say of similarity, and of the clusters."""

from modelkin import analyses, jobs, seeds, tables

with jobs.running(snakemake.log[0], "components", snakemake.input):
    params = snakemake.params
    similarity = tables.read(snakemake.input.similarity)
    made = analyses.components(
        tables.read(snakemake.input.components),
        similarity,
        tables.read(snakemake.input.clusters),
        seed=seeds.derive(params.seed, "components"),
    )
    tables.write_all(
        snakemake.output,
        tables.with_lowest_attacks(made, similarity),
        stage="components",
        version=params.version,
        settings=jobs.settings(params),
        inputs=list(snakemake.input),
    )
