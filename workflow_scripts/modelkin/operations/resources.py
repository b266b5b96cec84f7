"""What each job asks a scheduler for, memory and minutes, from the records of the stages.

Estimates with room to spare, because too little kills a job: what a pass of a model costs is that of a
network like ResNet-50. A job that is started again asks for as much again (rules/common.smk). Imports neither
torch nor snakemake, and reads no images.
"""

from __future__ import annotations

import math

from modelkin.operations import stages
from modelkin.operations.stages import Comparisons, Subject, sizes
from modelkin.study.config import Study

LIGHT = 2000  # megabytes of a job without models: Python, Snakemake, pandas, matplotlib
PROCESS = 3000  # megabytes of a job with models: torch, and what CUDA keeps outside the GPU
CHECKPOINT = 2000  # megabytes more where models come from elsewhere: weights are held twice while read
START = 10  # minutes in which a job starts, imports, and waits for files
PASS = {True: 5e-3, False: 0.5}  # seconds of an image's forward and backward pass, with a GPU and without
LEAST = 3e-4  # seconds of a pass, however small the image
COMPARED = 1.0  # seconds to compare two models on 10,000 images and usual features by one measure


def memory(
    study: Study,
    stage: str,
    model: str = "",
    other: str = "",
    adversarial: str = "adversarial",
    partner: str = "",
) -> int:
    """Megabytes for a job of that stage: for that model, on the study's own dataset or the other one,
    for one kind of adversarial probe, with that other model.
    """
    record = stages.get(stage)
    base = PROCESS if record.uses_torch else LIGHT
    if record.uses_torch and study.taken:
        base += CHECKPOINT
    return base + math.ceil(record.held(study, _subject(study, model, other, adversarial, partner)) / 1e6)


def minutes(
    study: Study,
    stage: str,
    model: str = "",
    other: str = "",
    adversarial: str = "adversarial",
    partner: str = "",
) -> int:
    """Minutes for that job, as in :func:`memory`."""
    record, subject = stages.get(stage), _subject(study, model, other, adversarial, partner)
    passes = record.passes(study, subject).items()
    seconds = record.seconds(study, subject)
    seconds += sum(each.total * _pass_seconds(study, name, subject.dataset) for name, each in passes)
    seconds += sum(_comparison_seconds(study, each) for each in record.comparisons(study, subject))
    return START + record.extra_minutes + math.ceil(seconds / 60)


def passes(
    study: Study,
    stage: str,
    model: str = "",
    other: str = "",
    adversarial: str = "adversarial",
    partner: str = "",
) -> float:
    """Passes of images through models of that job, at the most."""
    made = stages.get(stage).passes(study, _subject(study, model, other, adversarial, partner))
    return sum(each.total for each in made.values())


def side(study: Study, model: str, label: str) -> int:
    """Pixels a side of the images that a model takes when its probe is of that dataset."""
    entry = study.models[model]
    own = study.counts[label].get("size") if entry["source"] == "train" else entry.get("size")
    return own or sizes.UNKNOWN_SIDE


def _subject(study: Study, model: str, other: str, adversarial: str, partner: str) -> Subject:
    return Subject(model, other or study.dataset, adversarial, partner)


def _pass_seconds(study: Study, model: str, label: str) -> float:
    area = (side(study, model, label) / sizes.UNKNOWN_SIDE) ** 2
    return max(LEAST, PASS[study.device != "cpu"] * area)


def _comparison_seconds(study: Study, comparisons: Comparisons) -> float:
    """Products of features grow with n and p squared, neighbours with n squared."""
    share = comparisons.samples / 10_000
    features = sizes.representation_width(study) / sizes.UNKNOWN_WIDTH
    one = COMPARED * (share * features**2 + share**2)
    return comparisons.pairs * (1 + comparisons.permutations) * one
