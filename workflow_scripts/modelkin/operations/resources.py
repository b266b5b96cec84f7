"""What each job asks a scheduler for, memory and minutes, from the sizes of the study.

Estimates with room to spare, because too little kills a job: images and passes of models are counted from
the config, and what one costs is that of a network like ResNet-50. A job that is started again asks for
as much again (rules/common.smk). Imports neither torch nor snakemake, and reads no images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from modelkin import probe_kinds
from modelkin.study.config import Study

LIGHT = 2000  # megabytes of a job without models: Python, Snakemake, pandas, matplotlib
PROCESS = 3000  # megabytes of a job with models: torch, and what CUDA keeps outside the GPU
CHECKPOINT = 2000  # megabytes more where models come from elsewhere: weights are held twice while read
START = 10  # minutes in which a job starts, imports, and waits for files
DOWNLOAD = 50  # minutes more for a job that may download
DRAWING = 20  # minutes more for tables, clusters, ensembles and figures
READING = 50  # minutes more for reading the whole study
UNKNOWN = 224  # pixels a side where the config does not say
FEATURES = 2048  # width of a representation where the config does not say
PASS = {True: 5e-3, False: 0.5}  # seconds of an image's forward and backward pass, with a GPU and without
LEAST = 3e-4  # seconds of a pass, however small the image
AUTOATTACK = 3000  # gradients, about, for an image that stays robust
READ = 2e8  # bytes a second from a slow disk
HALVINGS = 10  # passes more for each image whose boundary is looked for
DECODED = 200  # images a second
COMPARED = 1.0  # seconds to compare two models on 10,000 images and FEATURES features by one measure


def memory(study: Study, stage: str, model: str = "", other: str = "") -> int:
    """Megabytes for the job of that rule: for that model, on the study's own dataset or the other one."""
    base = PROCESS if stage in MODELS else LIGHT
    if stage in MODELS and study.taken:
        base += CHECKPOINT
    held = HELD[stage](study, model, other or study.dataset) if stage in HELD else 0
    return base + math.ceil(held / 1e6)


def minutes(study: Study, stage: str, model: str = "", other: str = "") -> int:
    """Minutes for that job, as in :func:`memory`."""
    seconds = SECONDS[stage](study, model, other or study.dataset) if stage in SECONDS else 0
    return START + EXTRA.get(stage, 0) + math.ceil(seconds / 60)


def passes(study: Study, stage: str, model: str = "", other: str = "") -> float:
    """Passes of models (images through a network, forward or also backward) of that job, at the most."""
    return PASSES[stage](study, model, other or study.dataset) if stage in PASSES else 0


def side(study: Study, model: str, label: str) -> int:
    """Pixels a side of the images that a model takes when its probe is of that dataset."""
    entry = study.models[model]
    own = study.counts[label].get("size") if entry["source"] == "train" else entry.get("size")
    return own or UNKNOWN


def _image_bytes(study: Study, label: str, each: int = 4) -> int:
    """Of one image of a dataset in memory, with so many bytes for each value; three channels at most."""
    return 3 * (study.counts[label].get("size") or UNKNOWN) ** 2 * each


def _seconds(count: Callable[[Study, str, str], float]) -> Callable[[Study, str, str], float]:
    """Passes of one model as seconds."""
    return lambda study, model, label: count(study, model, label) * _pass(study, model, label)


def _pass(study: Study, model: str, label: str) -> float:
    area = (side(study, model, label) / UNKNOWN) ** 2
    return max(LEAST, PASS[study.device != "cpu"] * area)


def _training(study: Study, model: str, label: str) -> float:
    settings = study.training(model)
    attack = settings.get("attack_steps", 0)  # a standard recipe has none
    return study.counts[label]["train"] * settings["epochs"] * (1 + attack)


def _distillation(study: Study, model: str, label: str) -> float:
    student = study.distillation["student"]
    images = study.counts[label]["train"] * study.training(student)["epochs"]
    return study.distillation["repeats"] * (_training(study, student, label) + images)


def _evaluation(study: Study, model: str, label: str) -> float:
    settings, images = study.section("evaluation"), study.counts[label]["test"]
    attacked = settings["samples"] or images
    return images + attacked * settings["steps"] + settings["autoattack"] * AUTOATTACK


def _inversion(study: Study, model: str, label: str) -> float:
    return study.section("probes")["inverted"] * (study.section("inversion")["steps"] + 1)


def gradients(attack: Mapping) -> int:
    """Of an attack of the config's section ``adversarial``, for one image, about."""
    if attack["attack"] == "autoattack":
        return AUTOATTACK
    return attack["steps"] * max(1, attack.get("starts", 0)) * (1 + attack.get("neighbours", 0))


def _attack(study: Study, model: str, label: str) -> float:
    return study.section("probes")["natural"] * gradients(study.adversarial)


def boundary_points(study: Study) -> int:
    """Images that each model is given to find its boundaries."""
    asked, points = study.boundaries, 0
    if "regions" in asked:
        points += asked["regions"]["triplets"] * asked["regions"]["grid"] ** 2
    if "distances" in asked:
        to_find_the_way = 3 if asked["distances"]["direction"] == "gradient" else 0
        points += asked["distances"]["samples"] * (
            to_find_the_way + asked["distances"]["steps"] + HALVINGS + 1
        )
    return points


def _boundaries(study: Study, model: str, label: str) -> float:
    return boundary_points(study)


def _drawing_anew(study: Study, model: str, label: str) -> float:
    """Seconds of all pairs, once for each draw of a part of the images."""
    return sum(_comparing(study, name, label) for name in study.compared)


def _transferred(study: Study, model: str, label: str) -> float:
    """Seconds in which the logits of every model on every model's images are read, twice."""
    size = 8 * study.section("probes")["natural"] * study.counts[label]["classes"]
    return len(study.compared) ** 2 * size / READ


def _natural(study: Study, model: str, label: str) -> float:
    probes = study.section("probes")
    return probes["natural"] + probes["saliency"]


def _shell_passes(made: str) -> Callable[[Study, str, str], float]:
    """Of all models up to this one on its probe, and of this one on theirs."""
    return lambda study, model, label: study.section("probes")[made] * (2 * len(study.through(model)) - 1)


def _shell(made: str) -> Callable[[Study, str, str], float]:
    """Seconds of all models up to this one on its probe, and of this one on theirs."""

    def seconds(study: Study, model: str, label: str) -> float:
        each = [_pass(study, name, label) for name in study.through(model)]
        return study.section("probes")[made] * (sum(each) + each[-1] * (len(each) - 1))

    return seconds


def _comparing(study: Study, model: str, label: str) -> float:
    """Seconds of a shell's pairs by all measures, each with its chance level."""
    arrived = len(study.through(model))
    times = COMPARED * len(study.measures) * (1 + study.section("chance")["permutations"])
    seconds = 0.0
    for kind in study.kinds:
        pairs = arrived if probe_kinds.origin_of(kind) in probe_kinds.ONE_VALUE_PER_PAIR else 2 * arrived - 1
        share = _samples(study, kind) / 10_000
        # Products of features grow with n and p squared, neighbours with n squared.
        seconds += pairs * times * (share * (_features(study) / FEATURES) ** 2 + share**2)
    return seconds


def _samples(study: Study, kind: str) -> int:
    return study.section("probes")["inverted" if probe_kinds.origin_of(kind) == "inverted" else "natural"]


def _features(study: Study) -> int:
    """Width of the widest representation."""
    trained = [study.training(name)["representation"] for name in study.of_source("train")]
    return max([*trained, *(FEATURES for _ in study.taken)])


def _training_split(study: Study, model: str, label: str) -> float:
    return study.counts[label]["train"] * _image_bytes(study, label, _stored(study, label))


def _both_splits(study: Study, model: str, label: str) -> float:
    counts = study.counts[label]
    return 2 * (counts["train"] + counts["test"]) * _image_bytes(study, label, _stored(study, label))


def _stored(study: Study, label: str) -> int:
    """Bytes of a value of a dataset's images: 1 if they are decoded from files, else perhaps 4."""
    return 1 if study.settings(label)["name"] in ("folder", "torchvision") else 4


def _natural_images(study: Study, model: str, label: str) -> float:
    return study.section("probes")["natural"] * _image_bytes(study, label)


def _compared(study: Study, model: str, label: str) -> float:
    """Three models' activations and saliency at a time, and what each measure prepares of them."""
    probes = study.section("probes")
    values = max(probes["natural"], probes["inverted"]) * _features(study) * 4 * (1 + len(study.measures))
    maps = 2 * min(probes["natural"], probes["saliency"]) * _image_bytes(study, label)
    return 3 * (values + maps)


def _logits(study: Study, model: str, label: str) -> float:
    """All models' logits on the natural probe, and what ensembles make of them in float64."""
    return (
        4
        * 4
        * len(study.active_compared)
        * study.section("probes")["natural"]
        * study.counts[label]["classes"]
    )


Size = Callable[[Study, str, str], float]

# Bytes, beside what every such job needs.
HELD: Mapping[str, Size] = {
    "dataset": _both_splits,
    "probes": _natural_images,
    "train": _training_split,
    "distill": _training_split,
    "similarity": _compared,
    "draws": _compared,
    "ensembles": _logits,
}
PASSES: Mapping[str, Size] = {
    "train": _training,
    "distill": _distillation,
    "evaluate": _evaluation,
    "invert": _inversion,
    "attack": _attack,
    "activations_natural": _natural,
    "activations_inverted": _shell_passes("inverted"),
    "activations_adversarial": _shell_passes("natural"),
}
SECONDS: Mapping[str, Size] = {
    "dataset": lambda study, model, label: (
        sum(study.counts[label][split] for split in ("train", "test")) / DECODED
    ),
    "train": _seconds(_training),
    "distill": _seconds(_distillation),
    "evaluate": _seconds(_evaluation),
    "invert": _seconds(_inversion),
    "attack": _seconds(_attack),
    "boundaries": _seconds(_boundaries),
    "draws": _drawing_anew,
    "sat_shortcut": _transferred,
    "activations_natural": _seconds(_natural),
    "activations_inverted": _shell("inverted"),
    "activations_adversarial": _shell("natural"),
    "similarity": _comparing,
}
# Stages in which models run or torch computes.
MODELS = {"import_model", "plan", *(stage for stage in SECONDS if stage != "dataset")}
EXTRA = {
    "dataset": DOWNLOAD,
    "import_model": DOWNLOAD,
    "plan": DRAWING,
    "verify": READING,
    "bundle": READING,
    **dict.fromkeys(
        ("tables", "clusters", "components", "ensembles", "distillation", "recommendations", "figures"),
        DRAWING,
    ),
}
