"""Write the splits of one dataset into one store, a group each, decoded once."""

from modelkin import artifacts, datasets, images, jobs
from modelkin.errors import ModelkinError

with jobs.running(snakemake.log[0], "dataset") as log:
    splits = datasets.load(**snakemake.params.dataset)
    counts, facts = dict.fromkeys(splits, 0), {"classes": splits["test"].classes}

    def stored(name):
        for block in splits[name].blocks():
            counts[name] += len(block)
            facts["shape"] = block.shape
            telling(sum(counts.values()))
            yield block.to_dataset()

    def save(path):
        for name in splits:
            images.save_blocks(stored(name), path, group=name)
            if not counts[name]:
                raise ModelkinError(f"the {name} split has no images that can be read.")

    telling = jobs.Progress(sum(map(len, splits.values())), "images")
    artifacts.write(
        snakemake.output[0],
        save,
        stage="dataset",
        version=snakemake.params.version,
        settings=jobs.settings(snakemake.params),
        facts=lambda: facts | {"images": counts, "modes": getattr(splits["test"], "modes", {})},
    )
    log.info("%s images", counts)
