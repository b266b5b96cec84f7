"""Write the splits of the study's dataset into one store, a group each."""

from modelkin import artifacts, datasets, images, jobs

with jobs.running(snakemake.log[0], "dataset") as log:
    splits = datasets.load(**snakemake.params.dataset)

    def save(path):
        for split, found in splits.items():
            images.save(found.to_dataset(), path, group=split)

    counts = {split: len(found) for split, found in splits.items()}
    artifacts.write(
        snakemake.output[0],
        save,
        stage="dataset",
        version=snakemake.params.version,
        settings=snakemake.params.dataset,
        facts={"images": counts, "classes": splits["test"].classes, "shape": splits["test"].pixels.shape[1:]},
    )
    log.info("%s images", counts)
