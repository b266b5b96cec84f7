"""The config: checked against the schema, filled with defaults, and asked for what each stage needs.

Every error is one sentence. It imports neither torch nor snakemake, and reads no images.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from modelkin import probe_kinds
from modelkin.comparison import measures
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.data import datasets
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import architectures, sources
from modelkin.optimise import attacks, inversion_modes, threats
from modelkin.stitching import settings as stitching
from modelkin.store import paths
from modelkin.study import checks, schema, untrusted
from modelkin.study.component_table import read_component_table
from modelkin.study.imported import imported_digest, read_imported
from modelkin.study.yaml_text import read_yaml
from modelkin.training import schedule

SHAPE = ("width", "representation")  # keys of training that change the network itself
# What a recipe does not look at: changing it must not train the model again.
UNUSED = {
    "standard": {"norm", "attack_steps", "attack_step", "trades_beta", "eps_ramp"},
    "adversarial": {"trades_beta"},
    "trades": set(),
}

# What holds for keys of training that a config need not name; naming them so must not train a model again.
TRAINING_DEFAULTS = {**schedule.DEFAULTS, "decay_at": list(schedule.DEFAULTS["decay_at"])}
TRAINING_DEFAULTS |= {"augment": {}, "eps_ramp": schedule.EPS_RAMP, "snapshots": "none"}

# How layers are compared, and the settings that each way takes.
LAYER_ESTIMATORS: dict[str, dict[str, Any]] = {"minibatch": {"batch": 256, "passes": 3}, "exact": {}}

SNAPSHOT_IMAGES = 2000  # of each split, on which snapshots are judged where evaluation says nothing

# What is asked of a model's boundaries, by what measures need, and the keys that it depends on.
BOUNDARIES = {"regions": ("triplets", "grid"), "distances": ("samples", "direction", "steps")}


class Study:
    """A valid config.

    Its models, in order of arrival: ``names`` are all of them; ``with_weights`` those that are not of
    source 'none'; ``compared`` those that the workflow runs on probes: with weights and of the study's own
    dataset; ``of_other_tasks`` those that name another dataset. ``active`` are those of the tables: neither
    retired nor of another task, with weights (``active_compared``) or without.
    ``attacks``: the settings of each attack by the kind of probe that it makes.

    made: gives the manifest at a path below the results (``tiny/dataset.json``), None if there is none. A
    dataset or checkpoint that the study has taken in need not be where the config found it any more.
    """

    def __init__(
        self, config: dict[str, Any], made: Callable[[str], Mapping[str, Any] | None] = lambda _: None
    ):
        described = json.loads(schema.SCHEMA.read_text())
        config = copy.deepcopy(config)
        schema.validate(config, described)
        asked, named = frozenset(config), frozenset(config.get("probes", {}))
        _fill_threats(config)
        _fill_mode(config, made)
        schema.fill(config, described)
        schema.fill_choice(config["inversion"], "inversion", "mode", inversion_modes.DEFAULTS)
        self._whole_batches = "layers" in config and "batch" not in config["layers"]["estimator"]
        if "layers" in config:
            schema.fill_choice(config["layers"]["estimator"], "layers.estimator", "name", LAYER_ESTIMATORS)
        self.attacks: dict[str, dict[str, Any]] = _attacks(config.get("adversarial"), described)
        for entry in config["models"]:
            schema.fill(entry, described["$defs"]["model"], deep=False)
        self._config = config
        self.name: str = config["study"]
        self._made = made
        self.seed: int = config["seed"]
        self.device: str = config["device"]
        self.resizing: str = config["resizing"]
        self.models: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in config["models"]}
        main, others = config.get("dataset"), config["other_datasets"]
        # A study whose models are all known from tables alone has no images.
        self.dataset: str | None = main and (main.get("label") or main.get("dataset") or main["name"])
        own = {self.dataset: main} if main else {}
        self._datasets: dict[str, dict[str, Any]] = own | {each["label"]: each for each in others}
        self.others: list[str] = [
            each["label"] for each in others if self.compared and each.get("probes", True)
        ]
        self.kinds: list[str] = probe_kinds.all_kinds(self.others, self.attacks) if self.compared else []
        self.measures: list[ConfiguredMeasure] = [_measured(item) for item in config["measures"]]
        self._asked_of_training: dict[str, Any] = config["training"]
        self.training_defaults = schema.defaults(described["$defs"]["training"]) | config["training"]
        self.imported: dict[str, dict[str, Any]] = self._imported(described)
        self.components: dict[str, Any] | None = self._components()
        self._fit_defaults(named)
        if self.measures:
            self._fill_clusters_by(config["ensembles"]["clusters_by"])
        checks.check_study(self, config, asked)

    @property
    def names(self) -> list[str]:
        """All models in order of arrival."""
        return list(self.models)

    @property
    def products(self) -> dict[str, str]:
        """In which precision measures multiply where networks run in another; nothing where they do not.

        Earlier versions took that of the networks on GPUs, so what they made of such studies is made anew.
        """
        return {} if self.section("precision") == "float32" else {"products": "float32"}

    @property
    def with_weights(self) -> list[str]:
        """The models that are more than a name in an imported table."""
        return [name for name, entry in self.models.items() if entry["source"] != "none"]

    @property
    def compared(self) -> list[str]:
        """The models that are run on probes, also retired ones: with weights, of the study's own dataset."""
        return [name for name in self.with_weights if "dataset" not in self.models[name]]

    @property
    def of_other_tasks(self) -> list[str]:
        """The models that were trained on another of the study's datasets."""
        return [name for name, entry in self.models.items() if "dataset" in entry]

    @property
    def active_of_other_tasks(self) -> list[str]:
        """The models of another task that are not retired."""
        return [name for name in self.of_other_tasks if not self.models[name]["retired"]]

    @property
    def active(self) -> list[str]:
        """The models of the tables: neither retired nor of another task."""
        return [
            name for name, entry in self.models.items() if not entry["retired"] and "dataset" not in entry
        ]

    @property
    def active_compared(self) -> list[str]:
        """The active models that are run on probes."""
        return [name for name in self.active if self.models[name]["source"] != "none"]

    @property
    def datasets(self) -> list[str]:
        """The labels of all datasets, the study's own first; of ``others`` there are probes too."""
        return list(self._datasets)

    def dataset_of(self, name: str) -> str | None:
        """The label of the dataset that a model was made for."""
        return self.models[name].get("dataset", self.dataset)

    def section(self, name: str) -> Any:
        """One section of the config with its defaults, or the value of one of its keys."""
        return self._config[name]

    def settings(self, dataset: str) -> dict[str, Any]:
        """What :func:`modelkin.data.datasets.load` takes for the dataset of that label."""
        return {
            key: value
            for key, value in self._datasets[dataset].items()
            if key not in ("label", "probes", untrusted.KEY)
        }

    def _counted(self, dataset: str) -> dict[str, Any]:
        """``datasets.counts`` of the dataset of that label, as it is or as it was stored."""
        settings = self.settings(dataset)
        stored = self._stored_dataset(dataset)
        if stored is None and self._untrusted(self._datasets[dataset]):
            raise ModelkinError(f"the study lacks its dataset, and {untrusted.advice(self._called(dataset))}")
        if stored is None:
            return datasets.counts(**settings)
        facts = stored["facts"]
        return {
            "train": 0,
            **facts["images"],
            "classes": len(facts["classes"]),
            "size": max(facts["shape"][1:]),
        }

    @cached_property
    def counts(self) -> dict[str, dict[str, Any]]:
        """What :func:`modelkin.data.datasets.counts` says of each dataset, by label."""
        return {label: self._counted(label) for label in self.datasets}

    def channels(self, dataset: str) -> int:
        """Of the images of the dataset of that label, as it is or as it was stored."""
        return self.shape(dataset)[0]

    def shape(self, dataset: str) -> tuple[int, int, int]:
        """Channels, height and width of the images of the dataset of that label, as it is or was stored."""
        stored = self._stored_dataset(dataset)
        return tuple(stored["facts"]["shape"] if stored else datasets.shape(**self.settings(dataset)))

    def _stored_dataset(self, dataset: str) -> Mapping[str, Any] | None:
        """The manifest of the dataset of that label if it was stored with these settings."""
        settings = {key: value for key, value in self.settings(dataset).items() if key != "expected"}
        return self._stored(self.dataset_manifest(dataset), dataset=settings)

    @property
    def labels(self) -> list[str]:
        """The labels of all measures, those that were imported last."""
        return [*(configured.label for configured in self.measures), *self.imported]

    def imported_entry(self, name: str) -> dict[str, Any]:
        """What decides an imported table: its measure's label and its content's sha256, None if not known."""
        measure, entry = next((m, e) for m, e in self.imported.items() if e["label"] == name)
        return {"measure": measure, "sha256": entry["sha256"]}

    def _imported(self, described: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The imported tables by their measures' labels, each checked if it is there, with its sha256."""
        found = {}
        for entry in self._config["imported"]:
            schema.fill(entry, described["properties"]["imported"]["items"], deep=False)
            if not self._untrusted(entry) and Path(entry["file"]).exists():
                read_imported(entry["file"], self.active)
                sha256 = imported_digest(entry["file"])
            else:
                stored = self._stored(paths.imported(entry["label"]))
                sha256 = stored and stored["settings"]["entry"]["sha256"]
            label = measures.imported_label(entry["direction"], entry["label"])
            found[label] = {**entry, "sha256": sha256}
        checks.check_unique("imported table", [entry["label"] for entry in self._config["imported"]])
        return found

    def _fit_defaults(self, named: Collection[str]) -> None:
        """Let numbers of images that the config does not name be no larger than what there is.

        named: the numbers of probes that it does name.
        """
        if not self.compared or self.dataset is None:
            return
        probes, there = (
            self._config["probes"],
            min(self.counts[on]["test"] for on in (self.dataset, *self.others)),
        )
        for made in {*checks.SIZED} - {*named}:
            probes[made] = min(probes[made], there)
        if self._whole_batches and "batch" in (estimator := self._config["layers"]["estimator"]):
            estimator["batch"] = min(estimator["batch"], probes["natural"])

    def _fill_clusters_by(self, by: dict[str, str]) -> None:
        """Add what clusters are by before ensembles are drawn, of what the study has."""

        def kinds(label: str) -> list[str]:
            every = [*self.kinds, *([probe_kinds.IMPORTED] if self.imported else [])]
            return list(filter(measures.describe_label(label).measurable, every))

        if "measure" not in by:
            own = [configured.label for configured in self.measures]
            able = [label for label in own if by.get("kind", "inverted") in kinds(label)] or own
            by["measure"] = "linear_cka" if "linear_cka" in able else able[0]
        if "kind" not in by:
            # What no measure of the study is called is for the checks to say.
            able = kinds(by["measure"]) if by["measure"] in self.labels else []
            by["kind"] = "inverted" if "inverted" in able or not able else able[0]

    @property
    def components_asked(self) -> bool:
        """Whether the config names a table of components."""
        return "components" in self._config

    def _components(self) -> dict[str, Any] | None:
        """The user's table of components as it is or as it was stored, None without one."""
        section = self._config.get("components")
        if section is None:
            return None
        if not self._untrusted(section) and Path(section["file"]).exists():
            rows = read_component_table(section["file"], self.names, self.active)
            return {"replace": section["replace"], "rows": rows}
        stored = self._stored(paths.table("components"))
        return stored and stored["settings"]["components"]

    def dataset_manifest(self, dataset: str) -> str:
        """The path of the manifest of the dataset of that label."""
        return paths.dataset("" if dataset == self.dataset else dataset)

    @staticmethod
    def _untrusted(entry: Mapping[str, Any]) -> bool:
        """Whether nothing of what an entry names may be opened yet."""
        return entry.get(untrusted.KEY, False)

    def _called(self, dataset: str) -> str:
        """How the entry of a dataset is called where entries are trusted."""
        return dataset if dataset in self.others else "dataset"

    def taken_in(self, name: str) -> bool:
        """Whether the study has this model from elsewhere already."""
        return self._stored(paths.model(name), entry=self.entry(name)) is not None

    def _stored(self, manifest: str, **settings) -> Mapping[str, Any] | None:
        """The manifest of that name if it was made with these settings."""
        found = self._made(f"{self.name}/{manifest}")
        same = found is not None and all(found["settings"].get(key) == v for key, v in settings.items())
        return found if same else None

    def with_one_more(self, name: str) -> Study:
        """The same study with one model more at its end, like the last one that is run on probes.

        No table from elsewhere has a row for it, so it is not checked anew.
        """
        more = copy.copy(self)
        more.models = {**self.models, name: {**self.models[self.compared[-1]], "name": name}}
        return more

    @property
    def distillation(self) -> dict[str, Any] | None:
        """The section of that name, or None for a study without distillation."""
        return self._config.get("distillation")

    @property
    def stitching(self) -> dict[str, Any] | None:
        """The section of that name, or None for a study without stitching."""
        return self._config.get("stitching")

    @property
    def stitched_pairs(self) -> dict[str, tuple[str, str]]:
        """(front, end) of each pair that is stitched, by its label; empty without stitching."""
        if self.stitching is None or "pairs" not in self.stitching:
            return {}
        tasks = self.stitching.get("tasks", [""])
        names = self.active_compared + (self.active_of_other_tasks if any(tasks) else [])
        found = stitching.pairs(self.stitching["pairs"], names)
        return {stitching.pair_label(*pair, task): pair for task in tasks for pair in found}

    def stitching_task(self, label: str) -> str | None:
        """The label of the dataset whose images train and judge the stitches of a pair."""
        return stitching.task_of(label) or self.dataset

    @property
    def stitched_views(self) -> list[str]:
        """What is to be seen of stitched models: ``inversions``, ``t_sne``; empty if nothing is asked for."""
        return stitching.views(self.stitching) if self.stitched_pairs else []

    @property
    def agreement(self) -> dict[str, Any] | None:
        """What ``stitching.agreement`` says, or None for a study that gives no heads to others."""
        return (self.stitching or {}).get("agreement")

    def stitched_heads(self, name: str) -> list[str]:
        """The models before this one whose heads are given its representations, and whose it is given."""
        assert self.agreement is not None
        if self.agreement["pairs"] == "all":
            return self.earlier(name)
        return [other for other in self.earlier(name) if self.level(other) == self.level(name)]

    def level(self, name: str) -> tuple[str, float]:
        """Threat and radius that a model was trained to withstand; of all standard models ('', 0)."""
        entry = self.models[name]
        return (entry["norm"], entry["eps"]) if entry["eps"] else ("", 0)

    @property
    def boundaries(self) -> dict[str, dict[str, Any]]:
        """What is asked of each model's boundaries, as the study's measures need it; empty if none does."""
        section = self.section("boundaries")
        needed = {measures.get(m.name).takes for m in self.measures}
        return {
            what: {key: section[key] for key in keys} for what, keys in BOUNDARIES.items() if what in needed
        }

    @property
    def resampling_draws(self) -> int | None:
        """Into how many draws images are dealt out to see how measures vary, None for a study without."""
        return self._config.get("draws", {}).get("repeats")

    @property
    def resampled_kinds(self) -> list[str]:
        """The kinds of probe on which draws are compared: the study's own with one value for each pair."""
        return [
            kind
            for kind in self.kinds
            if probe_kinds.origin_of(kind) in probe_kinds.ONE_VALUE_PER_PAIR
            and not probe_kinds.other_dataset_of(kind)
        ]

    @property
    def teachers(self) -> list[str]:
        """The models that teach, in order; empty without distillation."""
        wanted = self.distillation and self.distillation["teachers"]
        if not wanted:
            return []
        return [
            name
            for name in self.active_compared
            if name != self.distillation["student"] and (wanted == "all" or name in wanted)
        ]

    @property
    def layers(self) -> dict[str, Any] | None:
        """The section of that name, or None for a study that compares no layers."""
        return self._config.get("layers")

    @property
    def layers_within(self) -> list[str]:
        """The models whose layers are compared with each other, in order of arrival."""
        asked = [item["models"] for item in self._layer_maps if "models" in item]
        named = {name for names in asked if names != "all" for name in names}
        return [name for name in self.active_compared if "all" in asked or name in named]

    @property
    def layers_between(self) -> list[tuple[str, str]]:
        """The pairs of models whose layers are compared, the earlier of each first, in order of arrival."""
        asked = [item["between"] for item in self._layer_maps if "between" in item]
        named = {frozenset(pair) for pairs in asked if pairs != "all" for pair in pairs}
        return [
            pair
            for pair in itertools.combinations(self.active_compared, 2)
            if "all" in asked or frozenset(pair) in named
        ]

    def layers_by_procrustes(self, model: str, partner: str) -> bool:
        """Whether the layers of two models, or of one with itself, are compared by Procrustes too."""
        return {model, partner} in [set(pair) for pair in (self.layers or {}).get("procrustes", ())]

    @property
    def layers_along_training(self) -> list[str]:
        """The models whose layers are compared along their training, in order of arrival."""
        names = (self.layers or {}).get("snapshots", {"models": []})["models"]
        return [
            name
            for name in self.active_compared
            if self.snapshots(name) and (names == "all" or name in names)
        ]

    @property
    def _layer_maps(self) -> list[dict[str, Any]]:
        return self.layers["maps"] if self.layers else []

    def earlier(self, name: str) -> list[str]:
        """The models that arrived before this one and are run on probes, as it is."""
        return self.compared[: self.compared.index(name)]

    def through(self, name: str) -> list[str]:
        """The models of :meth:`earlier`, and this one."""
        return [*self.earlier(name), name]

    def of_source(self, source: str) -> list[str]:
        """The models of this source, in order."""
        return [name for name in self.names if self.models[name]["source"] == source]

    @property
    def taken(self) -> list[str]:
        """The models that were not trained here, in order."""
        return [name for name in self.with_weights if self.models[name]["source"] != "train"]

    def entry(self, name: str) -> dict[str, Any]:
        """What ``networks.building.from_source`` takes, for a model that was not trained here."""
        return {key: value for key, value in self.models[name].items() if key not in checks.WHO - {"source"}}

    def weights_file(self, name: str) -> list[str]:
        """The local checkpoint of a model; none if its weights are downloaded by name or not there yet."""
        if self._untrusted(self.models[name]):
            return []
        return [path for path in self._files(name) if Path(path).is_file()]

    def outside(self) -> dict[str, list[str]]:
        """The files and folders outside of the study that artifacts are made of, by the artifacts' manifests.

        Only of what is trusted; there or not.
        """
        found = {
            self.dataset_manifest(label): datasets.files(**self.settings(label))
            for label in self.datasets
            if not self._untrusted(self._datasets[label])
        }
        return found | {
            paths.model(name): sources.outside(**self.entry(name))
            for name in self.taken
            if not self._untrusted(self.models[name])
        }

    def missing(self) -> dict[str, str]:
        """What a run needs, is not there and is not downloaded by it, in sentences.

        The keys are the paths of the manifests of what is made of it (:mod:`modelkin.store.paths`).
        """
        found = {}
        for label in self.datasets:
            if self._untrusted(self._datasets[label]):
                found[self.dataset_manifest(label)] = f"dataset {untrusted.advice(self._called(label))}"
            elif said := datasets.missing(**self.settings(label)):
                found[self.dataset_manifest(label)] = " ".join(said)
        for name in self.taken:
            if self._untrusted(self.models[name]):
                found[paths.model(name)] = f"model {untrusted.advice(name)}"
                continue
            if said := sources.missing(**self.entry(name)):
                found[paths.model(name)] = f"model '{name}': {said[0]}"
            for path in self._files(name):
                if not Path(path).exists():
                    what = checks.checkpoint(name)
                    found[paths.model(name)] = f"{what}, {path}, does not exist; put it there."
        for entry in self.imported.values():
            if self._untrusted(entry):
                found[paths.imported(entry["label"])] = f"imported table {untrusted.advice(entry['label'])}"
            elif entry["sha256"] is None:
                name, path = entry["label"], entry["file"]
                found[paths.imported(name)] = (
                    f"the imported table '{name}', {path}, does not exist; put it there."
                )
        if self.components is None and self._untrusted(self._config.get("components", {})):
            found[paths.table("components")] = f"table {untrusted.advice('components')}"
        elif self.components_asked and self.components is None:
            path = self._config["components"]["file"]
            found[paths.table("components")] = (
                f"the table of components, {path}, does not exist; put it there."
            )
        return found

    def _files(self, name: str) -> list[str]:
        """The local files that the entry of a model from elsewhere names."""
        return sources.get(self.models[name]["source"]).files(self.models[name])

    def recipe(self, name: str) -> str:
        """The recipe of a model of source 'train'; if it names none, eps decides."""
        entry = self.models[name]
        return entry.get("recipe") or ("adversarial" if entry["eps"] else "standard")

    def training_keys(self, name: str) -> dict[str, Any]:
        """The keys of training that hold for a model: the study's with their defaults, then its own."""
        entry = self.models[name]
        of_threat = threats.get(entry["norm"]).training
        own = {**self._asked_of_training, **entry.get("training", {})}
        return {**self.training_defaults, **of_threat, **own}

    def training(self, name: str) -> dict[str, Any]:
        """Everything that decides how a model is trained, its seed aside, and nothing else."""
        entry, recipe, keys = self.models[name], self.recipe(name), self.training_keys(name)
        without = UNUSED[recipe] | schedule.unused_settings(keys).keys() | {"snapshots"}
        settings = {
            **{key: value for key, value in keys.items() if value != TRAINING_DEFAULTS.get(key)},
            "architecture": entry["architecture"],
            "recipe": recipe,
            "eps": entry["eps"],
            "norm": entry["norm"],
        }
        return {key: value for key, value in settings.items() if key not in without}

    def snapshots(self, name: str) -> list[int]:
        """The epochs after which a model's weights are kept, 0 being the untrained one; often none."""
        return snapshot_epochs(self.training_keys(name)) if name in self.of_source("train") else []

    @property
    def with_snapshots(self) -> list[str]:
        """The models whose weights along the training are kept, in order."""
        return [name for name in self.names if self.snapshots(name)]

    @property
    def snapshot_images(self) -> int:
        """How many images of each split snapshots are judged on, at the most."""
        return self.section("evaluation")["samples"] or SNAPSHOT_IMAGES

    def describe(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """One row for each of these models, in order.

        It says name, architecture (empty if nobody knows it), robustness level and norm, and what
        :func:`modelkin.analysis.relations.pair_relations` asks for; the source of models without weights (of
        others it is in their cards), and the dataset of those of another task.
        """
        rows = []
        for name in names:
            entry = self.models[name]
            row = {key: entry[key] for key in ("name", "eps", "norm")}
            row |= {"architecture": architectures.short(entry.get("architecture", ""))}
            row |= {"source": "none"} if entry["source"] == "none" else {}
            row |= {"dataset": entry["dataset"]} if "dataset" in entry else {}
            rows.append(row | self._lineage(name))
        return rows

    def _lineage(self, name: str) -> dict[str, str]:
        """structure, regime and hyper_parameters: what the config says, else what follows from it."""
        entry = self.models[name]
        own = entry.get("training", {})
        shaped = {key: own[key] for key in SHAPE if key in own} | entry.get("options", {})
        tuned = {key: value for key, value in own.items() if key not in {*SHAPE, "snapshots"}}
        if entry["source"] == "train":
            recipe = self.recipe(name)
            regime = recipe if recipe == "standard" else f"{recipe} {entry['norm']} {entry['eps']:g}"
        else:
            # Another checkpoint of an architecture is of another training, as far as anybody knows.
            regime = str(
                entry.get("weights") or (name if entry["source"] == "none" else entry["architecture"])
            )
        # And a model of which nobody says the architecture is of another one.
        structure = architectures.short(entry["architecture"]) if "architecture" in entry else name
        return {
            "structure": _written(structure, shaped),
            "regime": entry.get("regime", regime),
            "hyper_parameters": entry.get("hyper_parameters", _written("", tuned)),
        }


def _written(first: str, settings: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key} {value}" for key, value in sorted(settings.items()))
    return f"{first} ({said})" if first and said else first or said


def snapshot_epochs(training: Mapping[str, Any]) -> list[int]:
    """The epochs that the key ``snapshots`` of these settings of a training asks for, in order."""
    asked, last = training.get("snapshots", "none"), training["epochs"]
    if isinstance(asked, list):
        return asked
    if isinstance(asked, str):
        return list(range(last + 1)) if asked == "all" else []
    return [*range(0, last, asked["every"]), last]


def configured_snapshots(config: Mapping[str, Any], name: str) -> list[int]:
    """What :meth:`Study.snapshots` says of a trained model, from a config that is known to be valid.

    It looks at nothing else, so a job can ask when the dataset is where it was found no more.
    """
    described = json.loads(schema.SCHEMA.read_text())["$defs"]["training"]
    (entry,) = (entry for entry in config["models"] if entry["name"] == name)
    keys = {**schema.defaults(described), **config.get("training", {}), **entry.get("training", {})}
    return snapshot_epochs(keys)


def read_study(path: str | Path) -> Study:
    """The study of a YAML file; ModelkinError if it cannot be read or is wrong."""
    return Study(load_config(path))


def load_config(path: str | Path) -> dict[str, Any]:
    """The keys and values of a YAML file, unchecked; ModelkinError if it cannot be read."""
    try:
        found = read_yaml(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ModelkinError(f"the config {path} cannot be read: {why}.") from None
    except yaml.YAMLError as error:
        raise ModelkinError(f"the config {path} is not valid YAML: {_yaml_fault(error)}.") from None
    if not isinstance(found, dict):
        raise ModelkinError(f"the config {path} must hold keys and values.")
    return found


def _yaml_fault(error: yaml.YAMLError) -> str:
    """Where a YAML file is wrong, and how, in a phrase."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    begun = getattr(error, "context_mark", None)
    inside = f", in what begins in line {begun.line + 1}" if begun and begun.line != mark.line else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{inside}"


def _attacks(section: dict[str, Any] | list | None, described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each attack of the section ``adversarial``, filled, by the kind of probe it makes."""
    listed = section if isinstance(section, list) else [section] if section is not None else []
    found = {}
    for entry in listed:
        label = entry.get("label")
        kind = probe_kinds.kind_of("adversarial", label)
        schema.fill(entry, described["$defs"]["attack"])
        schema.fill_choice(entry, checks.attack_section(kind), "attack", attacks.defaults())
        found[kind] = {key: value for key, value in entry.items() if key != "label"}
    return found


def _fill_mode(config: dict[str, Any], made: Callable[[str], Mapping[str, Any] | None]) -> None:
    """Name the mode of inversion if the config does not.

    It is the one that takes the keys that are named, where another does not; else the one by which the
    study's images were made, so that what another default made stays as it is; else the schema's default.
    """
    section = config.setdefault("inversion", {})
    if "mode" in section:
        return
    takes = {
        mode
        for mode, keys in inversion_modes.DEFAULTS.items()
        if not inversion_modes.FOREIGN[mode] & {*section}
    }
    if len(takes) == 1 and len(inversion_modes.DEFAULTS) > 1:
        (section["mode"],) = takes
        return
    for entry in config["models"]:
        found = made(f"{config['study']}/{paths.probe('inverted', entry['name'])}")
        if found is not None:
            section["mode"] = found["settings"]["inversion"]["mode"]
            return


def _fill_threats(config: dict[str, Any]) -> None:
    """Let every ``norm`` be its entry's threat, and give attacks under it what the threat has as defaults."""
    adversarial = config.get("adversarial")
    listed = adversarial if isinstance(adversarial, list) else [adversarial]
    for entry in filter(None, listed):
        label = entry.get("label")
        threat = _threat_of(entry, f"adversarial '{label}'" if label else "adversarial")
        if entry.get("attack", "pgd") == "pgd":
            for key, value in threat.probe.items():
                entry.setdefault(key, value)
    evaluation = config.setdefault("evaluation", {})
    probe = _threat_of(evaluation, "evaluation").probe
    if probe:
        evaluation.setdefault("radius", probe["radius"])
        evaluation.setdefault("steps", probe["steps"])
        evaluation.setdefault("step_size", probe["step_size"] * evaluation["radius"])
    for entry in config["models"]:
        _threat_of(entry, f"model '{entry['name']}'")


def _threat_of(entry: dict[str, Any], where: str) -> threats.Threat:
    """The threat that an entry names as ``threat`` or ``norm``; afterwards it names it as ``norm``."""
    if "threat" in entry:
        if "norm" in entry:
            raise ModelkinError(f"{where}: 'norm' and 'threat' say the same; leave one of them out.")
        entry["norm"] = entry.pop("threat")
    return threats.get(entry.get("norm", "l2"))


def _measured(item: str | dict[str, Any]) -> ConfiguredMeasure:
    item = {"name": item} if isinstance(item, str) else dict(item)
    name = item.pop("name")
    measure = measures.get(name)
    for key in item:
        if key not in measure.settings:
            raise unknown_name(f"setting of measure {name}", key, measure.settings)
    for key, value in item.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelkinError(
                f"measures: {key} of {name} must be a whole number of at least 1, not {value}."
            )
    return ConfiguredMeasure(name, {**measure.settings, **item})


def summarise_missing(sentences: Iterable[str]) -> str:
    """Sentences about what is missing as one; empty if there are none."""
    first, *more = [*sentences] or [""]
    if not more:
        return first
    return f"{first.removesuffix('.')} (and {len(more)} more are missing; `snakemake plan` lists them all)."
