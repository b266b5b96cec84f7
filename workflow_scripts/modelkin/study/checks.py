"""What no schema can say of a config: whether its parts go together. Every error is one sentence.

It is given a study that is being made (:class:`modelkin.study.config.Study`) and asks it as everybody does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelkin import probe_kinds
from modelkin.comparison import measures
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import architectures, sources
from modelkin.optimise import attacks
from modelkin.store import disk
from modelkin.study import untrusted
from modelkin.training.schedule import Schedule, unused_settings

# Keys of the entry of a model that is trained here, and those it cannot do without.
TRAINED, TRAINED_NEEDS = {"architecture", "recipe", "training"}, ("architecture",)
# What every entry may say: who the model is, and what the user knows of it.
WHO = {"name", "source", "eps", "norm", "retired", "regime", "hyper_parameters", untrusted.KEY}
SNAPSHOTS = ("all", "none")  # what snapshots may be in a word
NOT_FOR_STUDIES = {"readme.md", "calibration.json"}  # what else stands in results/
SIZED = ("natural", "inverted")  # kinds of probe that the config gives a number of images


def check_study(study, config: dict[str, Any]) -> None:
    """ModelkinError unless the parts of a config go together."""
    check_unique("model", [entry["name"] for entry in config["models"]])
    _names(study)
    check_unique("measure", [m.label for m in study.measures])
    if len(study.active) < 2:
        raise ModelkinError("a study compares at least two models; too many of them are retired.")
    for name, entry in study.models.items():
        # What is untrusted is not even looked at.
        _source(name, entry, taken_in=entry.get(untrusted.KEY, False) or study.taken_in(name))
    for name in study.of_source("train"):
        entry = study.models[name]
        if entry["architecture"] not in architectures.names():
            raise unknown_name(
                f"architecture of model '{name}'", entry["architecture"], architectures.names()
            )
        if (entry["eps"] == 0) != (study.recipe(name) == "standard"):
            raise ModelkinError(
                f"model '{name}': recipe '{study.recipe(name)}' does not go with eps {entry['eps']:g}; "
                "standard training has eps 0, the others more."
            )
    _training(study, config)
    _attacks(study, config)
    _samples(study, config)
    _draws(study, config)
    _analyses(study, config)


def checkpoint(name: str) -> str:
    """How a model's checkpoint is called in sentences."""
    return f"the checkpoint of model '{name}'"


def check_unique(what: str, names: list[str]) -> None:
    """ModelkinError if a name is there twice."""
    for name in names:
        if names.count(name) > 1:
            raise ModelkinError(f"two {what}s are named '{name}'; names must differ.")


def _names(study) -> None:
    """ModelkinError unless every name can be that of a file beside the others, on every file system."""
    if study.name.casefold() in NOT_FOR_STUDIES or study.name.casefold().endswith(".zip"):
        raise ModelkinError(
            f"study: '{study.name}' is the name of another file in results; choose another one."
        )
    seen: dict[str, str] = {}
    for name in study.names:
        if name.casefold() in seen:
            raise ModelkinError(
                f"models '{seen[name.casefold()]}' and '{name}' differ only in upper and lower case, "
                f"which some "
                "file systems take for the same; rename one."
            )
        seen[name.casefold()] = name
    for name in study.names:
        for suffix in (".json", ".left_out"):
            if f"{name}{suffix}".casefold() in seen:
                raise ModelkinError(
                    f"models '{name}' and '{seen[f'{name}{suffix}'.casefold()]}' cannot be in one study, "
                    f"for a file "
                    "of the first has the name of the second; rename one."
                )


def _source(name: str, entry: dict[str, Any], taken_in: bool) -> None:
    source = entry["source"]
    if source == "train":
        keys, needed = TRAINED, TRAINED_NEEDS
    else:
        module = sources.get(source)
        keys, needed = module.KEYS | sources.COMMON, module.REQUIRED
    for key in needed:
        if key not in entry:
            article = "an" if key[0] in "aeiou" else "a"
            raise ModelkinError(f"model '{name}': source '{source}' needs {article} {key}.")
    for key in sorted(set(entry) - WHO - keys):
        raise ModelkinError(f"model '{name}': '{key}' is not for source '{source}'.")
    if source == "train" or taken_in:
        return
    module.check(entry)
    for path in module.files(entry):
        # What is not there yet may be put there before the study is run.
        if Path(path).exists():
            disk.check_file(path, checkpoint(name))


def _training(study, config: dict[str, Any]) -> None:
    """ModelkinError unless optimisers and schedules are whole and snapshots are of epochs that there are."""
    _check_suits(config["training"], config["training"], "training")
    for name in study.of_source("train"):
        own, keys = study.models[name].get("training", {}), study.training_keys(name)
        _check_suits(own, keys, f"training of model '{name}'")
        settings = {key: value for key, value in keys.items() if key in Schedule.__dataclass_fields__}
        try:
            Schedule(**settings).batches(study.counts[study.dataset]["train"] or settings["batch_size"])
        except ModelkinError as error:
            raise ModelkinError(f"training of model '{name}': {error}") from None
        _snapshots(keys, name)


def _check_suits(named: dict[str, Any], holding: dict[str, Any], where: str) -> None:
    """ModelkinError if a key is named that the optimiser or schedule that holds does not take."""
    for key, choice in unused_settings(holding).items():
        if key in named:
            raise ModelkinError(f"{where}: '{key}' is not for {choice}.")


def _snapshots(keys: dict[str, Any], name: str) -> None:
    asked = keys.get("snapshots", "none")
    where = f"snapshots of model '{name}'"
    if isinstance(asked, str) and asked not in SNAPSHOTS:
        raise unknown_name(where, asked, SNAPSHOTS)
    if not isinstance(asked, list):
        return
    if asked != sorted(set(asked)):
        raise ModelkinError(f"{where}: the epochs {asked} must ascend, each once.")
    if asked[-1] > keys["epochs"]:
        raise ModelkinError(
            f"{where}: epoch {asked[-1]} is beyond its training, which has {keys['epochs']} epochs."
        )


def _attacks(study, config: dict[str, Any]) -> None:
    for where, section in (("evaluation", config["evaluation"]), ("adversarial", study.adversarial or {})):
        if section.get("norm") == "linf" and section["radius"] > 1:
            raise ModelkinError(
                f"{where}: a radius of {section['radius']:g} under linf is more than pixels in [0, 1] can "
                "change; 8/255 is 0.031372549."
            )
    if study.adversarial:
        attacks.check_norm(study.adversarial["attack"], study.adversarial["norm"])


def _samples(study, config: dict[str, Any]) -> None:
    check_unique("dataset", [study.dataset, *study.others])
    for label, counts in study.counts.items():
        _counts(study, config, label, counts)
    for measure in study.measures:
        if measures.get(measure.name).takes == "outcomes" and not study.adversarial:
            raise ModelkinError(f"measure {measure.label} needs adversarial probes; add `adversarial: {{}}`.")
    for made in SIZED:
        for measure in study.measures:
            needed = measure.settings.get("k", 0)
            if needed >= config["probes"][made] and measures.get(measure.name).measurable(made):
                raise ModelkinError(
                    f"measure {measure.label} asks for more neighbours than the {made} probe has "
                    f"other images ({config['probes'][made] - 1})."
                )


def _counts(study, config: dict[str, Any], label: str, counts: dict[str, int]) -> None:
    if label == study.dataset and study.of_source("train") and not counts["train"]:
        raise ModelkinError("the dataset has no train split, which models of source 'train' need.")
    if counts["classes"] < 2:
        raise ModelkinError(f"the dataset {label} must have at least two classes.")
    for made in SIZED:
        if config["probes"][made] > counts["test"]:
            raise ModelkinError(
                f"probes: {made} asks for {config['probes'][made]} images, "
                f"but the test split of {label} has {counts['test']}."
            )


def _draws(study, config: dict[str, Any]) -> None:
    """ModelkinError unless every draw has enough of what each measure needs."""
    if study.resampling_draws is None:
        return
    natural, section = config["probes"]["natural"], config["boundaries"]
    have = {
        "saliency": min(natural, config["probes"]["saliency"]),
        "regions": section["triplets"],
        "distances": min(natural, section["samples"]),
    }
    for measure in study.measures:
        drawn = have.get(measures.get(measure.name).takes, natural) // study.resampling_draws
        least = max(2, measure.settings.get("k", 0) + 1)
        if drawn < least and any(map(measures.get(measure.name).measurable, study.resampled_kinds)):
            raise ModelkinError(
                f"draws: {study.resampling_draws} repeats leave {drawn} samples to {measure.label}, "
                f"which needs {least}; ask for fewer repeats or for more images."
            )


def _analyses(study, config: dict[str, Any]) -> None:
    by = config["ensembles"]["clusters_by"]
    if by["measure"] not in study.labels:
        raise unknown_name("measure in ensembles.clusters_by", by["measure"], study.labels)
    every = [*study.kinds, *([probe_kinds.IMPORTED] if study.imported else [])]
    if by["kind"] not in every:
        raise unknown_name("kind of probe in ensembles.clusters_by", by["kind"], every)
    if not measures.describe_label(by["measure"]).measurable(by["kind"]):
        raise ModelkinError(f"ensembles.clusters_by: {by['measure']} is not measured on {by['kind']} probes.")
    number = config["clusters"]["number"]
    if number != "eigengap" and number > len(study.active):
        raise ModelkinError(f"clusters: number is {number}, but the study has {len(study.active)} models.")
    if min(config["ensembles"]["sizes"]) > len(study.active):
        raise ModelkinError(f"ensembles: no size is small enough for the study's {len(study.active)} models.")
    distillation = config.get("distillation")
    if distillation is None:
        return
    chosen = [] if distillation["teachers"] == "all" else distillation["teachers"]
    for role, names in (("student", [distillation["student"]]), ("teacher", chosen)):
        for name in names:
            if name not in study.names:
                raise unknown_name(f"distillation {role}", name, study.names)
    if distillation["student"] in chosen:
        raise ModelkinError(f"distillation: '{distillation['student']}' cannot be its own teacher.")
    if distillation["student"] not in study.active:
        raise ModelkinError(
            f"distillation: the student '{distillation['student']}' is retired; name another."
        )
    if study.models[distillation["student"]]["source"] != "train":
        raise ModelkinError(
            f"distillation: the student '{distillation['student']}' must be of source 'train'."
        )
    if not study.teachers:
        raise ModelkinError("distillation: all teachers are retired; name others, or leave the section out.")
