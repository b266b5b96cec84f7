"""Write the splits of one dataset into one store, a group each, decoded once."""

from modelkin import jobs
from modelkin.data import datasets
from modelkin.data.datasets import base
from modelkin.errors import ModelkinError
from modelkin.store import arrays, manifests
from modelkin.store.outside_files import WatchedFiles

with jobs.running_job(snakemake.log[0], "dataset") as log:
    files = WatchedFiles(datasets.files(**snakemake.params.dataset))
    splits = datasets.load(**snakemake.params.dataset)
    labels: dict[str, set[int]] = {name: set() for name in splits}
    counts, facts = dict.fromkeys(splits, 0), {"classes": splits["test"].classes}

    def stored(name):
        for block in splits[name].chunks():
            counts[name] += len(block)
            labels[name].update(block.labels.tolist())
            facts["shape"] = block.shape
            telling(sum(counts.values()))
            yield block.to_dataset()

    def save(path):
        for name in splits:
            arrays.write_chunks(stored(name), path, group=name)
            if not counts[name]:
                raise ModelkinError(f"the {name} split has no images that can be read.")

    telling = jobs.Progress(sum(map(len, splits.values())), "images")
    manifests.write(
        snakemake.output[0],
        save,
        stage="dataset",
        version=snakemake.params.version,
        settings=jobs.manifest_settings(snakemake.params),
        outside=files.described,
        facts=lambda: facts | {"images": counts, "modes": getattr(splits["test"], "modes", {})},
    )
    log.info("%s images", counts)
    if said := base.untaught(labels.get("train", labels["test"]), labels["test"], facts["classes"]):
        log.warning("%s", said)
