"""Draw the natural probe, and the seed/target pairs that all inverted probes share."""

from modelkin import artifacts, images, jobs, probes, seeds, tables

with jobs.running(snakemake.log[0], "probes"):
    (dataset,) = snakemake.input
    samples, seed = snakemake.params.samples, snakemake.params.seed
    about = {"stage": "probes", "version": snakemake.params.version, "inputs": [dataset]}
    test = images.load(dataset, "test")

    natural = probes.natural(test, samples["natural"], seeds.generator(seed, "probes", "natural"))
    artifacts.write(
        snakemake.output.natural,
        lambda path: images.save(natural.to_dataset(), path),
        settings={"samples": samples["natural"], "seed": seed},
        **about,
    )
    pairs = probes.pairs(test, samples["inverted"], seeds.generator(seed, "probes", "pairs"))
    tables.write(
        snakemake.output.pairs, pairs, settings={"samples": samples["inverted"], "seed": seed}, **about
    )
