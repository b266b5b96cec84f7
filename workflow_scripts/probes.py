"""Draw a dataset's natural probe, and the seed/target pairs that all inverted probes of it share."""

from modelkin import jobs, seeds
from modelkin.data.images import load_images
from modelkin.data.probes import natural_probe, seed_target_pairs
from modelkin.store import arrays, frames, manifests

with jobs.running_job(snakemake.log[0], "probes", snakemake.input):
    (dataset,) = snakemake.input
    samples, seed = snakemake.params.samples, snakemake.params.seed
    about = {
        "stage": "probes",
        "version": snakemake.params.version,
        "settings": jobs.manifest_settings(snakemake.params),
        "inputs": [dataset],
    }
    test = load_images(dataset, "test")
    # The study's own dataset has no name here, so that calling it otherwise draws the same images.
    of = [snakemake.params.other] if snakemake.params.other else []

    natural = natural_probe(test, samples["natural"], seeds.generator(seed, "probes", "natural", *of))
    manifests.write(
        snakemake.output.natural,
        lambda path: arrays.write_chunks((part.to_dataset() for part in natural.chunks()), path),
        **about,
    )
    pairs = seed_target_pairs(test, samples["inverted"], seeds.generator(seed, "probes", "pairs", *of))
    frames.write(snakemake.output.pairs, pairs, **about)
