"""What the jobs of each stage are about, and what they do: passes of networks and comparisons of models.

All from the config; the stages' own code is counted against this by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelkin import figures, probe_kinds
from modelkin.comparison import measures
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.measures.boundary_distance import HALVINGS
from modelkin.figures import Figure
from modelkin.operations.stages.record import (
    Comparisons,
    Jobs,
    NumberOf,
    Passes,
    PassesOf,
    Subject,
    study_tables,
)
from modelkin.optimise import attacks, threats
from modelkin.optimise.inversion_modes import RESCUING, STEPS_TAKEN, TRIES
from modelkin.stitching import settings as stitching
from modelkin.study.config import Study

# jobs


def _each(names: Callable[[Study], list[str]]) -> Callable[[Study], list[Subject]]:
    """The subjects of a job for each of these models, on the dataset that it was made for."""
    return lambda study: [Subject(name, study.dataset_of(name)) for name in names(study)]


def _datasets_with_probes(study: Study) -> list[str]:
    return [label for label in study.datasets if label in (study.dataset, *study.others)]


ONE = Jobs("one", lambda study: [Subject("", study.dataset)])
EACH_DATASET = Jobs("one for each dataset", lambda study: [Subject("", label) for label in study.datasets])
EACH_DATASET_WITH_PROBES = Jobs(
    "one for each dataset with probes",
    lambda study: [Subject("", label) for label in _datasets_with_probes(study)],
)
EACH_MODEL = Jobs("one for each model", _each(lambda study: study.compared))
EACH_WITH_WEIGHTS = Jobs("one for each model, of other tasks too", _each(lambda study: study.with_weights))
EACH_TRAINED = Jobs("one for each model that is trained here", _each(lambda study: study.of_source("train")))
EACH_WITH_SNAPSHOTS = Jobs(
    "one for each model whose snapshots are kept", _each(lambda study: study.with_snapshots)
)
EACH_TAKEN = Jobs("one for each model from elsewhere", _each(lambda study: study.taken))
EACH_TEACHER = Jobs("one for each teacher", _each(lambda study: study.teachers))
EACH_MODEL_AND_DATASET = Jobs(
    "one for each model and dataset",
    lambda study: [Subject(name, label) for label in _datasets_with_probes(study) for name in study.compared],
)
EACH_MODEL_AND_ATTACK = Jobs(
    "one for each model and attack",
    lambda study: [Subject(name, study.dataset, kind) for kind in study.attacks for name in study.compared],
)
EACH_WITHIN = Jobs(
    "one for each model that is compared with itself", _each(lambda study: study.layers_within)
)
EACH_BETWEEN = Jobs(
    "one for each pair of models",
    lambda study: [Subject(a, study.dataset, "", b) for a, b in study.layers_between],
)
EACH_ALONG_TRAINING = Jobs(
    "one for each model that is compared along its training",
    _each(lambda study: study.layers_along_training),
)
EACH_STITCHED_PAIR = Jobs(
    "one for each stitched pair",
    lambda study: [Subject(label, study.stitching_task(label)) for label in study.stitched_pairs],
)
EACH_IMPORTED = Jobs(
    "one for each imported table", lambda study: [Subject("", study.dataset) for _ in study.imported]
)
EACH_FIGURE = Jobs(
    "one for each figure that the study has the tables for",
    lambda study: [Subject("", study.dataset) for _ in possible_figures(study)],
)


def _layers_of_threats(study: Study) -> bool:
    """Whether the layers of two models that withstand different threats are compared."""
    pairs = [[study.models[name] for name in pair] for pair in study.layers_between]
    return any(a["eps"] and b["eps"] and a["norm"] != b["norm"] for a, b in pairs)


def possible_figures(study: Study) -> list[str]:
    """The names of the figures for which the study has what they show, sorted."""
    made = {*study_tables(study), *(["images"] if study.compared else [])}
    made |= {"attacked"} if _several_threats(study) else set()
    made |= {"stitched"} if "inversions" in study.stitched_views else set()
    levels = len({study.models[name]["eps"] for name in study.active})

    def is_possible(figure: Figure) -> bool:
        return (
            made.issuperset(figure.tables)
            and figure.measure in {None, *study.labels}
            and bool(study.compared or not figure.of_weights)
            and bool(study.compared or levels > 1 or not figure.of_levels)
            and bool(not figure.of_threats or _layers_of_threats(study))
        )

    return [name for name in figures.names() if is_possible(figures.get(name))]


def _several_threats(study: Study) -> bool:
    """Whether attacks are under more than one threat, or under one that is more than a ball of pixels."""
    named = {settings["norm"] for settings in study.attacks.values()}
    return len(named) > 1 or any(threats.get(name).perturbation is not None for name in named)


# passes


def training_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of a model's training: every epoch, its accuracy on the test split included."""
    settings = study.training(subject.model)
    return {subject.model: _training(study, subject.dataset, settings, settings["recipe"])}


def _training(study: Study, label: str, settings: dict, recipe: str) -> Passes:
    counts, epochs = study.counts[label], settings["epochs"]
    one = {
        "standard": Passes(updates=1),
        "adversarial": Passes(gradients=settings.get("attack_steps", 0), updates=1),
        # TRADES learns from the images and from attacked ones, which it makes of its answers to the former.
        "trades": Passes(forwards=1, gradients=settings.get("attack_steps", 0), updates=2),
    }[recipe]
    return (one * counts["train"] + Passes(forwards=counts["test"])) * epochs


def distillation_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of a teacher, who labels each batch, and of its students, who learn from it whatever their own recipe,
    and are asked for their accuracy and for their agreement with the teacher.
    """
    student, repeats = study.distillation["student"], study.distillation["repeats"]
    settings, counts = study.training(student), study.counts[study.dataset]
    taught = _training(study, study.dataset, settings, "standard") + Passes(forwards=2 * counts["test"])
    teaching = Passes(forwards=counts["train"] * settings["epochs"] + counts["test"])
    return {student: taught * repeats, subject.model: teaching * repeats}


def evaluation_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of all test images, and of those that are attacked by PGD and by AutoAttack."""
    settings, images = study.section("evaluation"), study.counts[subject.dataset]["test"]
    attacked, more = min(settings["samples"] or images, images), min(settings["autoattack"], images)
    _, strong = attacks.passes_per_image("autoattack")
    return {
        subject.model: Passes(
            forwards=images + attacked + more, gradients=attacked * settings["steps"] + more * strong
        )
    }


def snapshot_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of judging a model's snapshots, on training and on test images, clean and attacked by PGD."""
    settings, counts = study.section("evaluation"), study.counts[subject.dataset]
    images = sum(min(study.snapshot_images, counts[split]) for split in ("train", "test"))
    one = Passes(forwards=2, gradients=settings["steps"])
    return {subject.model: one * (images * len(study.snapshots(subject.model)))}


def no_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of a stage that runs no model if all is as it should be."""
    return {}


def inversion_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of all steps of all inversions; where failed images are tried again, all may have failed."""
    return _descents(study, subject, _tries(study))


def expected_inversion_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of as many steps as are taken in the mean before images are finished, and by those that fail."""
    mode = study.section("inversion")["mode"]
    return _descents(study, subject, STEPS_TAKEN[mode] + (RESCUING[mode] if _tries(study) > 1 else 0))


def _tries(study: Study) -> int:
    return TRIES if study.section("inversion").get("rescue") else 1


def _descents(study: Study, subject: Subject, share: float) -> dict[str, Passes]:
    """Of so many times the steps; the targets' representations, and where each image ends in each try."""
    images, steps = study.section("probes")["inverted"], study.section("inversion")["steps"]
    gradients = images * (steps * share + _tries(study))
    return {subject.model: Passes(forwards=images, gradients=gradients)}


def attack_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of the attack; and what the model says of each image before, after, and after rounding."""
    images = study.section("probes")["natural"]
    forwards, gradients = attacks.passes_per_image(**study.attacks[subject.adversarial])
    return {subject.model: Passes(forwards=forwards + 3, gradients=gradients) * images}


def boundary_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of all points at which a model is asked for its class, and of the gradients that point to some."""
    asked, found = study.boundaries, Passes()
    if "regions" in asked:
        found += Passes(forwards=asked["regions"]["triplets"] * asked["regions"]["grid"] ** 2)
    if "distances" in asked:
        distances = asked["distances"]
        one = Passes(
            forwards=1 + distances["steps"] + HALVINGS, gradients=distances["direction"] == "gradient"
        )
        found += one * min(distances["samples"], study.section("probes")["natural"])
    return {subject.model: found}


def natural_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of the natural probe, and of the images whose saliency is computed, on the study's own dataset."""
    probes, own = study.section("probes"), subject.dataset == study.dataset
    maps = min(probes["natural"], probes["saliency"]) if own else 0
    return {subject.model: Passes(forwards=probes["natural"], gradients=maps)}


def shell_passes(made: str) -> PassesOf:
    """Of all models up to one on its probe of so many images, and of that one on theirs."""

    def passes(study: Study, subject: Subject) -> dict[str, Passes]:
        images, through = study.section("probes")[made], study.through(subject.model)
        each = {name: Passes(forwards=images) for name in through}
        return each | {subject.model: Passes(forwards=images * len(through))}

    return passes


def within_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of images of each kind through a model, and through the same with random weights."""
    return {subject.model: Passes(forwards=len(study.layers["images"]) * _layer_images(study))}


def between_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of natural images, and of those that were made for either model, through both."""
    kinds = 1 + 2 * (len(study.layers["images"]) - 1)
    each = Passes(forwards=kinds * _layer_images(study))
    return {subject.model: each, subject.partner: each}


def along_training_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of natural images through each snapshot of a model."""
    times = len(study.snapshots(subject.model)) * _layer_passes(study)
    return {subject.model: Passes(forwards=times * study.section("probes")["natural"])}


def _layer_images(study: Study) -> int:
    """Images of one kind that a model sees in all passes, with its own and with random weights."""
    weights = 1 + (study.layers["baseline"] == "untrained")
    return weights * _layer_passes(study) * study.section("probes")["natural"]


def _layer_passes(study: Study) -> int:
    return study.layers["estimator"].get("passes", 1)


# comparisons


def shell_comparisons(study: Study, subject: Subject) -> Iterator[Comparisons]:
    """Of the pairs that a model completes, itself included, by every measure on every kind of probe."""
    arrived, permutations = len(study.through(subject.model)), study.section("chance")["permutations"]
    for kind in study.kinds:
        one_value = probe_kinds.origin_of(kind) in probe_kinds.ONE_VALUE_PER_PAIR
        pairs = arrived if one_value else 2 * arrived - 1
        for chosen in _measured_on(study, kind):
            times = permutations if measures.get(chosen.name).chance else 0
            yield Comparisons(kind, chosen, pairs, samples(study, kind, chosen), times)


def for_each_similarity(amount: float) -> NumberOf:
    """So much for each row of the table ``similarity``: a pair of models by a measure on a kind of probe."""

    def total(study: Study, subject: Subject) -> float:
        models, rows = len(study.active_compared), 0
        for kind in study.kinds:
            one_value = probe_kinds.origin_of(kind) in probe_kinds.ONE_VALUE_PER_PAIR
            pairs = models * (models + 1) // 2 if one_value else models**2
            rows += pairs * len(_measured_on(study, kind))
        return amount * rows

    return total


def draw_comparisons(study: Study, subject: Subject) -> Iterator[Comparisons]:
    """Of all pairs, once for each draw of a part of the samples, without a chance level."""
    count, draws = len(study.active_compared), study.resampling_draws
    for kind in study.resampled_kinds:
        for chosen in _measured_on(study, kind):
            pairs = draws * count * (count + 1) // 2
            yield Comparisons(kind, chosen, pairs, samples(study, kind, chosen) // draws, 0)


def _measured_on(study: Study, kind: str) -> list[ConfiguredMeasure]:
    return [chosen for chosen in study.measures if measures.get(chosen.name).measurable(kind)]


def samples(study: Study, kind: str, chosen: ConfiguredMeasure) -> int:
    """Samples of a model that a measure compares on a kind of probe."""
    probes, takes = study.section("probes"), measures.get(chosen.name).takes
    images = probes["inverted" if probe_kinds.origin_of(kind) == "inverted" else "natural"]
    if takes == "saliency":
        return min(images, probes["saliency"])
    if takes == "regions":
        return study.boundaries["regions"]["triplets"]
    if takes == "distances":
        return min(images, study.boundaries["distances"]["samples"])
    return images


BLOCKS = 8  # of a network, as far as the config says; which there are is known when it is built


def stitching_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of matching, trainings, baselines and judging of one pair; after a block comes half a network."""
    section, (front, end) = study.stitching, study.stitched_pairs[subject.model]
    counts = study.counts[subject.dataset]
    train, test = (
        min(section[f"{split}_images"] or counts[split], counts[split]) for split in ("train", "test")
    )
    attacked, steps = min(section["attacked"], test), study.section("evaluation")["steps"]
    strong = min(section["autoattack"], test)
    one = Passes(forwards=test + attacked + strong, gradients=attacked * steps + 40 * strong)
    asked = stitching.trainings(section)
    judged, fronts, ends = len(asked) + 1, train + test * (1 + BLOCKS), train + test * (1 + BLOCKS)
    updates, through = 0.0, 0.0
    randoms = 2 if section["baselines"] else 0
    # Where batch norms drift each place has donors of its own, and shares no pass.
    shared = section.get("batch_norm") != "published"
    plain = [each for each in asked if shared and each.objective.name == "plain"]
    fast = stitching.baseline_training(section)
    for each in [*plain, *[fast] * randoms]:
        epochs = stitching.schedule_settings(section, each)["epochs"]
        fronts += epochs * train
        updates += epochs * train * BLOCKS / 2
    for each in asked:
        if each not in plain:
            epochs = stitching.schedule_settings(section, each)["epochs"]
            attacked_steps = section["attack_steps"] * (each.objective.name != "plain")
            through += epochs * train * BLOCKS * (attacked_steps + 1)
    judging = one * (BLOCKS * (judged + randoms) / 2)
    whole = one * bool(section["baselines"])
    half = Passes(gradients=through / 2)
    found = {front: Passes(forwards=fronts) + half + judging + whole}
    more = Passes(forwards=ends, updates=updates) + half + judging + whole
    found[end] = found.get(end, Passes()) + more
    return found


def stitched_view_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of matching, inversions through whole and stitched models, and representations of one pair."""
    section, (front, end) = study.stitching, study.stitched_pairs[subject.model]
    counts = study.counts[subject.dataset]
    train = min(section["train_images"] or counts["train"], counts["train"])
    inverted = section.get("inversions", 0) * study.section("inversion")["steps"]
    shown = section.get("t_sne", 0) * BLOCKS
    # A stitched model is about half of either; the whole ones stand beside.
    own = Passes(forwards=train + shown, gradients=inverted * (1 + BLOCKS / 2))
    return {front: own * 2} if front == end else {front: own, end: own}


def training_activation_passes(study: Study, subject: Subject) -> dict[str, Passes]:
    """Of the training images on which representations are mapped."""
    return {subject.model: Passes(forwards=agreement_images(study))}


def agreement_images(study: Study) -> int:
    """Training images of which maps between representations are made."""
    images = study.counts[study.dataset]["train"]
    return min(study.agreement["train_images"] or images, images)
