"""What no schema can say of a config: whether its parts go together. Every error is one sentence.

It is given a study that is being made (:class:`modelkin.study.config.Study`) and asks it as everybody does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from modelkin import probe_kinds
from modelkin.comparison import measures
from modelkin.errors import ModelkinError, unknown_name
from modelkin.layers.batches import check_batch
from modelkin.networks import architectures, sources
from modelkin.optimise import attacks, threats
from modelkin.optimise.attacks import pgd
from modelkin.store import disk
from modelkin.study import untrusted
from modelkin.study.stitching_checks import check_stitching, not_compared
from modelkin.training.schedule import Schedule, unused_settings

# Keys of the entry of a model that is trained here, and those it cannot do without.
TRAINED, TRAINED_NEEDS = {"architecture", "recipe", "training"}, ("architecture",)
# What every entry may say: who the model is, and what the user knows of it.
WHO = {"name", "source", "dataset", "eps", "norm", "retired", "regime", "hyper_parameters"}
WHO |= {untrusted.KEY}
SNAPSHOTS = ("all", "none")  # what snapshots may be in a word
# And what one may say whose weights nobody has.
WITHOUT_WEIGHTS = {"architecture"}
# Sections for models that are run on probes.
OF_COMPARED = (
    *("dataset", "measures", "probes", "inversion", "adversarial", "boundaries", "draws", "chance"),
    *("ensembles", "distillation", "layers", "stitching"),
)
NOT_FOR_STUDIES = {"readme.md", "calibration.json"}  # what else stands in results/
SIZED = ("natural", "inverted")  # kinds of probe that the config gives a number of images


def check_study(study, config: dict[str, Any], asked: Collection[str]) -> None:
    """ModelkinError unless the parts of a config go together; asked: the sections that its user wrote."""
    check_unique("model", [entry["name"] for entry in config["models"]])
    _names(study)
    check_unique("measure", [m.label for m in study.measures])
    if len(study.active) < 2:
        raise ModelkinError(
            "a study compares at least two models; too many of them are retired or of another task."
        )
    _sections(study, config, asked)
    _other_tasks(study, config)
    for name, entry in study.models.items():
        # What is untrusted is not even looked at.
        taken_in = entry.get(untrusted.KEY, False) or study.taken_in(name)
        _source(name, entry, taken_in=taken_in)
        if not taken_in:
            _normalisation(study, name, entry)
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
    _without_weights(study, config)
    _training(study, config)
    _datasets(study)
    if study.compared:
        _attacks(study, config)
        _samples(study, config)
        _draws(study, config)
        _ensembles(study, config)
        _layers(study, config)
    _clusters(study, config)
    _distillation(study, config)
    check_stitching(study)


def checkpoint(name: str) -> str:
    """How a model's checkpoint is called in sentences."""
    return f"the checkpoint of model '{name}'"


def check_unique(what: str, names: list[str]) -> None:
    """ModelkinError if a name is there twice."""
    for name in names:
        if names.count(name) > 1:
            raise ModelkinError(f"two {what}s are named '{name}'; names must differ.")


def _sections(study, config: dict[str, Any], asked: Collection[str]) -> None:
    """ModelkinError if a section is missing that models on probes need, or is there without such models."""
    if not study.compared:
        for key in OF_COMPARED:
            if key in asked and config[key] != []:
                raise ModelkinError(
                    f"{key}: no model is run on probes, for all are of source 'none' or of another task; "
                    "leave the section out."
                )
        return
    for key in ("dataset", "measures"):
        if key not in asked:
            raise ModelkinError(f"the config lacks the key '{key}'.")
    if not study.measures:
        raise ModelkinError("measures needs at least 1 entries.")
    if len(study.active_compared) < 2:
        raise ModelkinError(
            f"of the models with weights {len(study.active_compared)} is left, so there is no pair to "
            "measure; add another, or let the source of all be 'none'."
        )


def _other_tasks(study, config: dict[str, Any]) -> None:
    """ModelkinError unless what models of other tasks were trained on is there, and serves somebody."""
    others = [each["label"] for each in config["other_datasets"]]
    check_unique("dataset", [label for label in (study.dataset, *others) if label is not None])
    for name in study.of_other_tasks:
        entry = study.models[name]
        if entry["source"] == "none":
            raise ModelkinError(f"model '{name}': 'dataset' is not for source 'none'.")
        if entry["dataset"] == study.dataset:
            raise ModelkinError(
                f"model '{name}': '{study.dataset}' is the study's own dataset; leave its `dataset` out."
            )
        if entry["dataset"] not in others:
            raise unknown_name(f"dataset of model '{name}'", entry["dataset"], others)
    for label in set(others) - set(study.others) - set(map(study.dataset_of, study.of_other_tasks)):
        raise ModelkinError(
            f"other_datasets: nothing is to be done with '{label}', of which there are no probes and which "
            "no model names as its `dataset`; leave it out."
        )


def _without_weights(study, config: dict[str, Any]) -> None:
    """ModelkinError unless the models of source 'none' are in a table."""
    names = [name for name in study.names if study.models[name]["source"] == "none"]
    if not names:
        return
    if not study.imported:
        raise ModelkinError(
            f"model '{names[0]}' is of source 'none', so only a table can say what it is like; "
            "name one that has it (imported: [{label: ..., file: ...}])."
        )
    if "components" in config and not config["components"]["replace"]:
        raise ModelkinError(
            f"components: '{names[0]}' is of source 'none', so nothing can be read off its network; say "
            "`replace: true`, and all components in the table."
        )


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
                "which some file systems take for the same; rename one."
            )
        seen[name.casefold()] = name
    for name in study.names:
        for suffix in (".json", ".left_out"):
            if f"{name}{suffix}".casefold() in seen:
                raise ModelkinError(
                    f"models '{name}' and '{seen[f'{name}{suffix}'.casefold()]}' cannot be in one study, "
                    "for a file of the first has the name of the second; rename one."
                )


def _source(name: str, entry: dict[str, Any], taken_in: bool) -> None:
    source = entry["source"]
    if source == "train":
        keys, needed = TRAINED, TRAINED_NEEDS
    elif source == "none":
        keys, needed = WITHOUT_WEIGHTS, ()
    else:
        module = sources.get(source)
        keys, needed = module.KEYS | sources.COMMON, module.REQUIRED
    for key in needed:
        if key not in entry:
            article = "an" if key[0] in "aeiou" else "a"
            raise ModelkinError(f"model '{name}': source '{source}' needs {article} {key}.")
    for key in sorted(set(entry) - WHO - keys):
        raise ModelkinError(f"model '{name}': '{key}' is not for source '{source}'.")
    if source in ("train", "none") or taken_in:
        return
    module.check(entry)
    for path in module.files(entry):
        # What is not there yet may be put there before the study is run.
        if Path(path).exists():
            disk.check_file(path, checkpoint(name))


def _normalisation(study, name: str, entry: dict[str, Any]) -> None:
    """ModelkinError unless the normalisation that an entry names has a number for each channel of its model.

    Three for grey images as well, and one for colour images: they are converted for the model.
    """
    given = {key: len(entry[key]) for key in ("mean", "std") if key in entry}
    label = study.dataset_of(name)
    if not given or label is None:
        return
    channels = study.channels(label)
    for key, numbers in given.items():
        if numbers != channels and {channels, numbers} != {1, 3}:
            raise ModelkinError(
                f"model '{name}': {key} has {counted(numbers, 'number')}, but the images of {label} have "
                f"{counted(channels, 'channel')}; give {key} {counted(channels, 'number')}"
                f", or {4 - channels} for a model of {'colour' if channels == 1 else 'grey'} images."
            )


def counted(number: int, what: str) -> str:
    """So many things, in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"


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
        _freezing(keys, name)


def _check_suits(named: dict[str, Any], holding: dict[str, Any], where: str) -> None:
    """ModelkinError if a key is named that the optimiser or schedule that holds does not take."""
    for key, choice in unused_settings(holding).items():
        if key in named:
            raise ModelkinError(f"{where}: '{key}' is not for {choice}.")


def _freezing(keys: dict[str, Any], name: str) -> None:
    """ModelkinError unless each freezing is of more blocks than the one before, later and before the end."""
    asked = keys.get("freeze", [])
    for before, each in zip([None, *asked], asked, strict=False):
        if each["after"] >= keys["epochs"]:
            raise ModelkinError(
                f"freeze of model '{name}': after epoch {each['after']} nothing is trained, for there are "
                f"{keys['epochs']} epochs; take an earlier one."
            )
        if before and not (each["after"] > before["after"] and each["blocks"] > before["blocks"]):
            raise ModelkinError(
                f"freeze of model '{name}': more blocks must follow later; sort by after and blocks."
            )


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


def attack_section(kind: str) -> str:
    """How the settings of the attack that makes a kind of probe are called in sentences."""
    label = probe_kinds.attack_of(kind)
    return f"adversarial '{label}'" if label else "adversarial"


def _attacks(study, config: dict[str, Any]) -> None:
    _attack_labels(study, config.get("adversarial"))
    own = {attack_section(kind): settings for kind, settings in study.attacks.items()}
    for where, settings in {"evaluation": config["evaluation"], **own}.items():
        largest = threats.get(settings["norm"]).largest_radius
        if largest is not None and settings["radius"] > largest:
            raise ModelkinError(
                f"{where}: a radius of {settings['radius']:g} under {settings['norm']} is more than pixels "
                f"can change, which is {largest:g}; of linf 8/255 is 0.031372549."
            )
    for where, settings in own.items():
        attacks.check_threat(settings["attack"], settings["norm"], where)
        if "starts" in settings and settings["starts"] < pgd.least_starts(settings["norm"]):
            raise ModelkinError(
                f"{where}: {settings['norm']} has no start at the image itself; use starts: 1 or more."
            )
    if config["evaluation"]["autoattack"]:
        attacks.check_threat("autoattack", config["evaluation"]["norm"], "evaluation")
    _images_of_threats(study, own)


def _images_of_threats(study, own: Mapping[str, Mapping[str, Any]]) -> None:
    """ModelkinError if images are to be changed under a threat for which their size is not."""
    against = {name: study.models[name] for name in study.of_source("train") if study.models[name]["eps"]}
    for where, name, norm in [
        *((f"model '{name}'", name, entry["norm"]) for name, entry in against.items()),
        *(("evaluation", name, study.section("evaluation")["norm"]) for name in study.with_weights),
        *((where, name, settings["norm"]) for where, settings in own.items() for name in study.compared),
    ]:
        perturbation = threats.get(norm).perturbation
        if perturbation is None:
            continue
        channels, *sides = study.shape(study.dataset_of(name))
        size = study.models[name].get("size")
        try:
            perturbation.check((channels, *([size, size] if size else sides)))
        except ModelkinError as error:
            raise ModelkinError(f"{where}: {error}") from None


def _attack_labels(study, section: dict[str, Any] | list[dict[str, Any]] | None) -> None:
    """ModelkinError unless the attacks of a list have labels that tell them from all others."""
    if isinstance(section, dict) and "label" in section:
        raise ModelkinError(
            "adversarial: a label tells the attacks of a list apart; write `adversarial: [{label: "
            f"{section['label']}, ...}}]`, or leave the label out."
        )
    labels = [entry["label"] for entry in section] if isinstance(section, list) else []
    check_unique("attack", labels)
    for label in labels:
        if label in (study.dataset, *study.others):
            raise ModelkinError(
                f"adversarial: an attack and a dataset are both labelled '{label}'; give the attack another "
                "label, for both stand in the kinds of probe."
            )


def _datasets(study) -> None:
    for label, counts in study.counts.items():
        trained = [name for name in study.of_source("train") if study.dataset_of(name) == label]
        if trained and not counts["train"]:
            what = "dataset" if label == study.dataset else f"dataset {label}"
            raise ModelkinError(f"the {what} has no train split, which models of source 'train' need.")
        if counts["classes"] < 2:
            raise ModelkinError(f"the dataset {label} must have at least two classes.")
        for name in trained:
            try:
                architectures.check_size(study.models[name]["architecture"], counts["size"])
            except ModelkinError as error:
                raise ModelkinError(f"model '{name}': {error}") from None


def _samples(study, config: dict[str, Any]) -> None:
    for label in (study.dataset, *study.others):
        _counts(config, label, study.counts[label])
    for label in study.others:
        if study.channels(label) != study.channels(study.dataset):
            raise ModelkinError(
                f"the dataset {label} has images of {study.channels(label)} channels and {study.dataset} of "
                f"{study.channels(study.dataset)}, so no model takes both; give it other `channels`, or say "
                "`probes: false` if it is for models of its own task alone."
            )
    for measure in study.measures:
        if measures.get(measure.name).takes == "outcomes" and not study.attacks:
            raise ModelkinError(f"measure {measure.label} needs adversarial probes; add `adversarial: {{}}`.")
    for made in SIZED:
        for measure in study.measures:
            needed = measure.settings.get("k", 0)
            if needed >= config["probes"][made] and measures.get(measure.name).measurable(made):
                raise ModelkinError(
                    f"measure {measure.label} asks for more neighbours than the {made} probe has "
                    f"other images ({config['probes'][made] - 1})."
                )


def _counts(config: dict[str, Any], label: str, counts: dict[str, int]) -> None:
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


def _ensembles(study, config: dict[str, Any]) -> None:
    models = len(study.active_compared)
    by = config["ensembles"]["clusters_by"]
    if by["measure"] not in study.labels:
        raise unknown_name("measure in ensembles.clusters_by", by["measure"], study.labels)
    every = [*study.kinds, *([probe_kinds.IMPORTED] if study.imported else [])]
    if by["kind"] not in every:
        raise unknown_name("kind of probe in ensembles.clusters_by", by["kind"], every)
    if not measures.describe_label(by["measure"]).measurable(by["kind"]):
        raise ModelkinError(f"ensembles.clusters_by: {by['measure']} is not measured on {by['kind']} probes.")
    if min(config["ensembles"]["sizes"]) > models:
        raise ModelkinError(f"ensembles: no size is small enough for the study's {models} models.")


def _clusters(study, config: dict[str, Any]) -> None:
    # Every measure is clustered, also those that know fewer models.
    models = len(study.active_compared or study.active)
    number = config["clusters"]["number"]
    if number != "eigengap" and number > models:
        raise ModelkinError(f"clusters: number is {number}, but the study has {models} models.")


def _distillation(study, config: dict[str, Any]) -> None:
    distillation = config.get("distillation")
    if distillation is None:
        return
    chosen = [] if distillation["teachers"] == "all" else distillation["teachers"]
    for role, names in (("student", [distillation["student"]]), ("teacher", chosen)):
        for name in names:
            if name not in study.names:
                raise unknown_name(f"distillation {role}", name, study.names)
            if name not in study.compared:
                why = not_compared(study, name)
                raise ModelkinError(f"distillation: the {role} '{name}' {why}; name another.")
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


def _layers(study, config: dict[str, Any]) -> None:
    """ModelkinError unless what is compared layer by layer is there, and can be compared."""
    section = config.get("layers")
    if section is None:
        return
    for item in section["maps"]:
        _layer_models(study, "layers.maps", item.get("models", "all"))
        pairs = item.get("between", "all")
        for pair in () if pairs == "all" else _listed("layers.maps", pairs):
            _layer_models(study, "layers.maps", pair)
            if pair[0] == pair[1]:
                raise ModelkinError(
                    f"layers.maps: between names '{pair[0]}' twice; write {{models: [{pair[0]}]}} to compare "
                    "a model with itself."
                )
    for kind in section["images"]:
        if kind not in ("natural", *study.attacks):
            if probe_kinds.is_adversarial(kind) and not study.attacks:
                raise ModelkinError(f"layers.images: '{kind}' needs attacks; add `adversarial: {{}}`.")
            raise unknown_name("kind in layers.images", kind, ("natural", *study.attacks))
    if "natural" not in section["images"]:
        raise ModelkinError("layers.images: natural ones are the baseline of all others; add natural.")
    estimator, natural = section["estimator"], config["probes"]["natural"]
    try:
        check_batch(estimator.get("batch", natural), natural)
    except ModelkinError as error:
        raise ModelkinError(f"layers.estimator: {error}") from None
    _layer_procrustes(study, section)
    _layer_snapshots(study, section)


def _layer_procrustes(study, section: dict[str, Any]) -> None:
    """ModelkinError unless pairs that are compared by Procrustes have maps, of batches."""
    for pair in section.get("procrustes", ()):
        where, (a, b) = "layers.procrustes", pair
        _layer_models(study, where, pair)
        asked = a in study.layers_within if a == b else {a, b} in map(set, study.layers_between)
        if not asked:
            kind = f"models: [{a}]" if a == b else f"between: [[{a}, {b}]]"
            raise ModelkinError(f"{where}: '{a}' and '{b}' have no map; add {{{kind}}} to layers.maps.")
        if section["estimator"]["name"] == "exact":
            raise ModelkinError(
                f"{where}: Procrustes similarity is of batches; take `estimator: {{name: minibatch}}`, if "
                "you like with one batch of all images."
            )


def _listed(where: str, value: str | list) -> list:
    """A list of names or pairs; ModelkinError if it is a word other than all."""
    if isinstance(value, str):
        raise unknown_name(where, value, ["all"])
    return value


def _layer_models(study, where: str, names: str | list[str]) -> None:
    """ModelkinError unless these models (or all) have layers that can be compared."""
    for name in () if names == "all" else _listed(where, names):
        if name not in study.names:
            raise unknown_name(f"model in {where}", name, study.names)
        if name not in study.active_compared:
            why = "is retired" if study.models[name]["retired"] else not_compared(study, name)
            raise ModelkinError(f"{where}: '{name}' {why}; name another.")


def _layer_snapshots(study, section: dict[str, Any]) -> None:
    if "snapshots" not in section:
        return
    names, where = section["snapshots"]["models"], "layers.snapshots"
    _layer_models(study, where, names)
    for name in () if names == "all" else names:
        if not study.snapshots(name):
            raise ModelkinError(
                f"{where}: no snapshots of '{name}' are kept; add `training: {{snapshots: all}}` to its "
                "entry."
            )
    if not study.layers_along_training:
        raise ModelkinError(f"{where}: no model's snapshots are kept; add `training: {{snapshots: all}}`.")
