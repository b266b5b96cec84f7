"""Stitch one pair of models at all blocks, by matching and by training, and judge what comes of it."""

from functools import partial
from pathlib import Path

import pandas as pd

from modelkin import jobs, precision, seeds
from modelkin.data.images import load_images
from modelkin.jobs.kept_state import KeptState
from modelkin.stitching import pair, settings
from modelkin.stitching.stitched import halves
from modelkin.store import frames
from modelkin.store.resumable import ResumableParts

label = snakemake.wildcards.pair
with jobs.running_job(snakemake.log[0], f"stitch {label}", snakemake.input) as log:
    params, section = snakemake.params, dict(snakemake.params.stitching)
    device = jobs.job_device(snakemake.config)
    models = list(snakemake.input.models)
    front, end = (
        halves(jobs.load_configured_model(snakemake.config, each, device, params.resize)) for each in models
    )
    about = {
        "stage": "stitch",
        "version": params.version,
        "settings": jobs.manifest_settings(params),
        "inputs": [snakemake.input.dataset, *models],
        "device": precision.describe_device(device),
    }
    augment = {key: section[key] for key in ("crop", "flip") if section[key]}
    stitched = pair.Pair(
        front,
        end,
        load_images(snakemake.input.dataset, "train").spread(section["train_images"]),
        load_images(snakemake.input.dataset, "test").spread(section["test_images"]),
        section | {"attack": params.attack, "augment": augment},
        seeds.derive_seed(params.seed, "stitch", label),
        device,
    )
    matching, maps = pair.matched(stitched)
    judge = pair.Judge(stitched)
    kept = ResumableParts(snakemake.output[1], **about)

    def keepers(number, name):
        return KeptState(kept.unfinished(number, name))

    work = [partial(pair.matching_rows, stitched, maps, judge)]
    work += [
        partial(pair.training_rows, stitched, training, maps, judge, partial(keepers, number))
        for number, training in enumerate(settings.trainings(section), start=1)
    ]
    if section["baselines"]:
        work.append(partial(pair.baseline_rows, stitched, maps, judge, partial(keepers, len(work))))
    progress = jobs.Progress(len(work), "parts")
    for number, make in enumerate(work):
        if number not in kept:
            rows = pd.DataFrame(make())
            kept.keep(number, partial(rows.to_parquet, index=False))
        progress(number + 1)
    rows = pd.concat([pd.read_parquet(kept.path(number)) for number in range(len(work))], ignore_index=True)
    names = dict(zip(("front", "end"), (Path(each).stem for each in models), strict=True))
    frames.write(snakemake.output[0], matching.assign(**names), **about)
    frames.write(snakemake.output[1], pair.with_r2(rows, matching).assign(**names), **about)
    kept.drop()
