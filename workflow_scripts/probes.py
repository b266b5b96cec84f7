"""Draw a dataset's natural probe, and the seed/target pairs that all inverted probes of it share."""

from modelkin import artifacts, images, jobs, probes, seeds, tables

with jobs.running(snakemake.log[0], "probes", snakemake.input):
    (dataset,) = snakemake.input
    samples, seed = snakemake.params.samples, snakemake.params.seed
    about = {
        "stage": "probes",
        "version": snakemake.params.version,
        "settings": jobs.settings(snakemake.params),
        "inputs": [dataset],
    }
    test = images.load(dataset, "test")
    # The study's own dataset has no name here, so that calling it otherwise draws the same images.
    of = [snakemake.params.other] if snakemake.params.other else []

    natural = probes.natural(test, samples["natural"], seeds.generator(seed, "probes", "natural", *of))
    artifacts.write(
        snakemake.output.natural,
        lambda path: images.save_blocks((part.to_dataset() for part in natural.blocks()), path),
        **about,
    )
    pairs = probes.pairs(test, samples["inverted"], seeds.generator(seed, "probes", "pairs", *of))
    tables.write(snakemake.output.pairs, pairs, **about)
