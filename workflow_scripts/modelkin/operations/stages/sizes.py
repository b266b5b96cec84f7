"""What the jobs of each stage hold in memory and leave on disk, in bytes, and how long other work takes.

All from the config and, where results are as large as a network, from the networks' costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from modelkin.comparison import measures
from modelkin.data import datasets
from modelkin.operations.stages.counts import agreement_images, for_each_similarity, samples
from modelkin.operations.stages.record import ComparisonsOf, NumberOf, Subject
from modelkin.study.config import Study

if TYPE_CHECKING:
    from modelkin.operations.network_costs import Cost

UNKNOWN_SIDE = 224  # pixels a side where the config does not say
UNKNOWN_WIDTH = 2048  # of a representation where the config does not say
DECODED = 200  # images a second
READ = 2e8  # bytes a second from a slow disk
MULTIPLIED = 1e10  # operations a second of products in float64 on a slow CPU
FLOAT = 4  # bytes of a number
PIXEL_BYTES = {"uint16": 2, "uint8": 1}

Costs = Mapping[str, "Cost"]


def representation_width(study: Study) -> int:
    """Width of the widest representation, as far as the config says."""
    trained = [study.training(name)["representation"] for name in study.of_source("train")]
    return max([*trained, *(UNKNOWN_WIDTH for _ in study.taken)])


def compared_width(study: Study, takes: str, representation: int) -> int:
    """Numbers of a sample in what a measure takes, the representation having so many."""
    return {
        "representation": representation,
        "saliency": math.prod(datasets.shape(**study.settings(study.dataset))),
        "logits": _classes(study),
        "outcomes": _classes(study),  # which are read off the logits
        "distances": 2,
        "regions": study.section("boundaries")["grid"] ** 2,
    }[takes]


def _largest_image(study: Study, label: str, value_bytes: int = FLOAT) -> int:
    """Bytes of an image of a dataset in memory, of three channels at most."""
    return 3 * (study.counts[label].get("size") or UNKNOWN_SIDE) ** 2 * value_bytes


def _value_bytes(study: Study, label: str) -> int:
    """Of a dataset's images as they are stored: 1 if they are decoded from files, else perhaps 4."""
    return 1 if study.settings(label)["name"] in ("folder", "torchvision") else FLOAT


def _splits(study: Study, label: str, names: tuple[str, ...]) -> int:
    return sum(study.counts[label][name] for name in names)


def _classes(study: Study) -> int:
    return study.counts[study.dataset]["classes"]


# in memory


def training_split_held(study: Study, subject: Subject) -> float:
    """All images that a model is trained on."""
    label = subject.dataset
    return _splits(study, label, ("train",)) * _largest_image(study, label, _value_bytes(study, label))


def both_splits_held(study: Study, subject: Subject) -> float:
    """All images of a dataset, twice while they are made into arrays."""
    label = subject.dataset
    return (
        2
        * _splits(study, label, ("train", "test"))
        * _largest_image(study, label, _value_bytes(study, label))
    )


def natural_probe_held(study: Study, subject: Subject) -> float:
    """The images of the natural probe, as floats."""
    return study.section("probes")["natural"] * _largest_image(study, subject.dataset)


def comparison_held(study: Study, subject: Subject) -> float:
    """Three models' activations and saliency at a time, and what each measure prepares of them."""
    probes = study.section("probes")
    rows = max(probes["natural"], probes["inverted"])
    values = rows * representation_width(study) * FLOAT * (1 + len(study.measures))
    maps = 2 * min(probes["natural"], probes["saliency"]) * _largest_image(study, subject.dataset)
    # A number for every pair of samples, in float64, of three models and of what is made on the way.
    squares = sum(measures.get(each.name).square for each in study.measures) * 2 * FLOAT * rows**2
    return 3 * (values + maps) + 6 * squares


def logits_held(study: Study, subject: Subject) -> float:
    """All models' logits on the natural probe, and what ensembles make of them in float64."""
    return 4 * FLOAT * len(study.active_compared) * study.section("probes")["natural"] * _classes(study)


def ensembles_held(study: Study, subject: Subject) -> float:
    """Logits, and every pair with its similarities."""
    return logits_held(study, subject) + for_each_similarity(4e3)(study, subject)


LAYERS = 80  # of a network, where only the network knows: of a WRN-28
CUT_POINTS = 20
DECOMPOSED = 7e-10  # seconds for a cell by Procrustes, divided by the cube of the batch: measured on a core


def within_held(study: Study, subject: Subject) -> float:
    """The Gram matrices of a batch for all layers and images of a model, with two sets of weights."""
    return (_layer_views(study, 1) + 1) * LAYERS * _gram(study) + _turned(study, subject, 1)


def between_held(study: Study, subject: Subject) -> float:
    """The same of two models, on natural images and on those that were made for either."""
    return (2 * _layer_views(study, 2) + 1) * LAYERS * _gram(study) + _turned(study, subject, 2)


def _turned(study: Study, subject: Subject, models: int) -> float:
    """What Procrustes needs of all layers of so many models, in float64, on natural images."""
    if not study.layers_by_procrustes(subject.model, subject.partner or subject.model):
        return 0.0
    return 2 * models * _weightings(study) * LAYERS * _gram(study)


def _weightings(study: Study) -> int:
    return 1 + (study.layers["baseline"] == "untrained")


def along_training_held(study: Study, subject: Subject) -> float:
    """The same of all snapshots of a model at its cut points."""
    return (len(study.snapshots(subject.model)) + 1) * CUT_POINTS * _gram(study)


def _layer_views(study: Study, sources: int) -> int:
    """Sets of images that a model sees of so many sources, with its own and with random weights."""
    kinds = 1 + sources * (len(study.layers["images"]) - 1)
    return kinds * (1 + (study.layers["baseline"] == "untrained")) * len(study.layers["features"])


def _gram(study: Study) -> int:
    natural = study.section("probes")["natural"]
    return FLOAT * min(natural, study.layers["estimator"].get("batch", natural)) ** 2


def procrustes_seconds(study: Study, subject: Subject) -> float:
    """A decomposition for each cell, and one more for chance, of trained and of random weights."""
    if not study.layers_by_procrustes(subject.model, subject.partner or subject.model):
        return 0.0
    size = study.layers["estimator"]["batch"]
    return 2 * _weightings(study) * _batches(study) * LAYERS**2 * DECOMPOSED * size**3


def layer_cells(study: Study) -> float:
    """Cells of all maps of the study."""
    adversarial = len(study.layers["images"]) - 1
    within = len(study.layers_within) * (1 + 2 * adversarial)
    between = len(study.layers_between) * (1 + 2 * adversarial)
    return (within + between) * len(study.layers["features"]) * LAYERS**2


def layer_tables_held(study: Study, subject: Subject) -> float:
    """All cells as rows of a table, and as often as images or batches are left out of one map."""
    natural = study.section("probes")["natural"]
    parts = natural if "batch" not in study.layers["estimator"] else _batches(study)
    return 200 * layer_cells(study) + 6 * 8 * parts * LAYERS**2


def _batches(study: Study) -> int:
    estimator = study.layers["estimator"]
    return estimator["passes"] * math.ceil(study.section("probes")["natural"] / estimator["batch"])


def page_held(study: Study, subject: Subject) -> float:
    """The logits whose answers a study's page shows, if models are run at all."""
    return logits_held(study, subject) if study.active_compared else 0.0


def heads_held(study: Study, subject: Subject) -> float:
    """Representations of training images of two models, parts in float64, and products of features."""
    width = representation_width(study)
    return 3 * FLOAT * agreement_images(study) * width + 8 * 8 * width**2


# on disk


def training_activations_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """A model's representations and logits of training images."""
    return FLOAT * agreement_images(study) * (costs[subject.model].width + _classes(study))


def maps_stored(views: Callable[[Study, Subject], float], layers: int) -> Callable:
    """HSIC of all cells of so many maps for each batch, or for each image, and their chance levels."""

    def stored(study: Study, subject: Subject, costs: Costs) -> float:
        exact = "batch" not in study.layers["estimator"]
        parts = study.section("probes")["natural"] if exact else _batches(study)
        return 2 * (FLOAT if exact else 2 * FLOAT) * parts * views(study, subject) * layers**2

    return stored


def _maps_within(study: Study, subject: Subject) -> float:
    turned = study.layers_by_procrustes(subject.model, subject.partner or subject.model)
    maps = len(study.layers["features"]) * (2 * len(study.layers["images"]) - 1) + turned
    return _weightings(study) * maps


def _maps_along_training(study: Study, subject: Subject) -> float:
    kept = len(study.snapshots(subject.model))
    return kept * (kept + 1) / 2 if study.layers["snapshots"]["against"] == "all" else 3 * kept


# Between two models there are as many maps as within one: natural, and of two sources for each attack.
within_stored = between_stored = maps_stored(_maps_within, LAYERS)
along_training_stored = maps_stored(_maps_along_training, CUT_POINTS)


def dataset_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """The images of a dataset."""
    return _splits(study, subject.dataset, ("train", "test")) * _stored_image(study, subject.dataset)


def natural_probe_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """The images of a natural probe."""
    return study.section("probes")["natural"] * _stored_image(study, subject.dataset)


def _stored_image(study: Study, label: str) -> int:
    return math.prod(datasets.shape(**study.settings(label))) * _value_bytes(study, label)


def weights_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """A model's weights."""
    return FLOAT * costs[subject.model].parameters


def snapshots_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """A model's weights at each epoch that is kept."""
    return len(study.snapshots(subject.model)) * weights_stored(study, subject, costs)


def inverted_probe_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """The images that were made for a model, at its own size."""
    return FLOAT * study.section("probes")["inverted"] * costs[subject.model].pixels


def adversarial_probe_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """The attacked images of a model, at its own size, in the type that the config chooses."""
    images, each = (
        study.section("probes")["natural"],
        PIXEL_BYTES[study.attacks[subject.adversarial]["stored"]],
    )
    return each * images * costs[subject.model].pixels


def boundaries_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """The class of each point of the planes, and a distance and whether it is right for each image."""
    values, asked = 0, study.boundaries
    if "regions" in asked:
        values += asked["regions"]["triplets"] * asked["regions"]["grid"] ** 2
    if "distances" in asked:
        values += 2 * min(asked["distances"]["samples"], study.section("probes")["natural"])
    return FLOAT * values


def natural_activations_stored(study: Study, subject: Subject, costs: Costs) -> float:
    """A model's representations and logits of a natural probe, and its saliency maps of the study's own."""
    probes, maps = study.section("probes"), 0
    if subject.dataset == study.dataset:
        pixels = math.prod(datasets.shape(**study.settings(subject.dataset)))
        maps = min(probes["natural"], probes["saliency"]) * pixels
    return FLOAT * (probes["natural"] * (costs[subject.model].width + _classes(study)) + maps)


def shell_stored(made: str) -> Callable[[Study, Subject, Costs], float]:
    """Representations and logits of a shell's runs on probes of so many images."""

    def stored(study: Study, subject: Subject, costs: Costs) -> float:
        through = study.through(subject.model)
        runs = [*through, *[subject.model] * (len(through) - 1)]
        values = sum(costs[name].width + _classes(study) for name in runs)
        return FLOAT * study.section("probes")[made] * values

    return stored


# seconds


def decoding_seconds(study: Study, subject: Subject) -> float:
    """Of the images of a dataset."""
    return _splits(study, subject.dataset, ("train", "test")) / DECODED


def reading_seconds(comparisons: ComparisonsOf) -> NumberOf:
    """In which what one model of each pair computed is read, once for all measures that take it."""

    def seconds(study: Study, subject: Subject) -> float:
        width, taken = representation_width(study), {}
        for each in comparisons(study, subject):
            takes = measures.get(each.measure.name).takes
            numbers = samples(study, each.kind, each.measure) * compared_width(study, takes, width)
            taken[each.kind, takes] = each.pairs * numbers
        return FLOAT * sum(taken.values()) / READ

    return seconds


def transfer_seconds(study: Study, subject: Subject) -> float:
    """In which the logits of every model on every model's images are read, twice."""
    size = 2 * FLOAT * study.section("probes")["natural"] * _classes(study)
    return len(study.attacks) * len(study.compared) ** 2 * size / READ


def head_seconds(study: Study, subject: Subject) -> float:
    """In which the representations of all models that a head is stitched to are read and mapped."""
    width, images = representation_width(study), agreement_images(study)
    partners = len(study.stitched_heads(subject.model))
    mapped = 2 * (4 * images * width**2 + 20 * width**3) / MULTIPLIED
    return (partners + 1) * (FLOAT * images * width / READ + mapped)
