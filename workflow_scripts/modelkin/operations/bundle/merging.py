"""Two studies of the same images as one: what lacks the other's models is made again, and nothing else.

The models of the second arrive after those of the first. So all shells of the first stay as they are, and of
the second its checkpoints, cards, probes and natural activations, but not its shells.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from modelkin.errors import ModelkinError
from modelkin.operations import bundle, verify
from modelkin.store import paths
from modelkin.store.manifests import read_intact, remove
from modelkin.study.config import TRAINING_DEFAULTS, Study, load_config
from modelkin.training import schedule


class Source(Protocol):
    """A study to be merged: a :class:`modelkin.operations.bundle.Bundle` or a :class:`Folder`."""

    study: Study
    config: dict[str, Any]
    content: verify.Content
    manifests: dict[str, dict[str, Any]]

    def extract(self, folder: Path, keep: Callable[[str], bool]) -> None: ...


class Folder:
    """The study of a config whose results stand beside it; it need not be finished.

    Raises ModelkinError if one of its artifacts is not whole.
    """

    def __init__(self, path: str | Path):
        results = Path(path).parent / bundle.RESULTS
        self.config = load_config(path)
        self.study = Study(self.config, made=lambda name: read_intact(results / name))
        self.folder = results / self.study.name
        self.content = verify.folder_content(self.folder)
        wrong = [each for each in verify.check_integrity(self.content)[0] if each.state != "orphaned"]
        if wrong:
            raise ModelkinError(
                f"{self.folder} cannot be merged: {wrong[0].path} is {wrong[0].state}; see snakemake verify."
            )
        self.manifests = verify.manifests(self.content)

    def extract(self, folder: Path, keep: Callable[[str], bool]) -> None:
        """Copy those of the study's files that are to be kept, by their paths below it."""
        for name in filter(keep, self.content.digests):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, folder / name)


def merge_studies(first: str | Path, second: str | Path, study: str, folder: str | Path = ".") -> str:
    """Write one study and its config, made of two others; returns what to tell the user.

    first, second: bundles, or configs (``.yaml``) with their results beside them. What the new study lacks is
    left to the workflow. Raises ModelkinError, and leaves nothing behind, if they cannot be one.
    """
    folder = Path(folder)
    if not bundle.NAME.fullmatch(study):
        raise ModelkinError(f"'{study}' is not usable as a name; use letters, digits and . _ + - only.")
    bundle.check_new(folder, study)
    one, two = _opened(first), _opened(second)
    _check_all_have_weights(one, two)
    check_same_images(one, two)
    config = {**merged_config(one, two), "study": study}
    made = {f"{study}/{name}": manifest for name, manifest in {**two.manifests, **one.manifests}.items()}
    Study(config, made=made.get)
    of_one, of_two = _files(one, one.manifests), _files(two, two.manifests.keys() - one.manifests.keys())

    def fill(temporary: Path) -> None:
        one.extract(temporary, of_one.__contains__)
        two.extract(temporary, of_two.__contains__)

    new_results = not (folder / bundle.RESULTS).exists()
    bundle.place(folder, study, config, fill)
    with bundle.removed_on_failure(folder, study, with_results=new_results):
        dropped = _drop_stale(folder, study)
        kept = [name for name in {**one.manifests, **two.manifests} if name not in dropped]
        bundle.record(folder, study, kept)
    return (
        f"{bundle.RESULTS}/{study} and {study}.yaml: {len(kept)} artifacts of the two studies, "
        f"{len(dropped)} to be made anew.\nGo on with: snakemake --cores 2 --configfile {study}.yaml"
    )


def merged_config(one: Source, two: Source) -> dict[str, Any]:
    """The first study's config with the second's models at the end, to be trained as they were there.

    Raises ModelkinError if both have a model of the same name.
    """
    for name in two.study.names:
        if name in one.study.names:
            raise ModelkinError(f"both studies have a model '{name}', so they cannot be merged.")
    config = copy.deepcopy(one.config)
    for entry in copy.deepcopy(two.config["models"]):
        if entry["source"] == "train":
            defaults = TRAINING_DEFAULTS | one.study.training_defaults
            wanted = TRAINING_DEFAULTS | two.study.training_defaults | entry.pop("training", {})
            unused = schedule.unused_settings(wanted)
            other = {k: v for k, v in wanted.items() if v != defaults[k] and k not in unused}
            entry |= {"training": other} if other else {}
        config["models"].append(entry)
    return config


def _check_all_have_weights(*sources: Source) -> None:
    for study in (source.study for source in sources):
        if study.with_weights != study.names:
            raise ModelkinError(
                f"{study.name} has models of source 'none', of which no table of the other study knows, so "
                "the two cannot be merged."
            )


def check_same_images(one: Source, two: Source) -> None:
    """ModelkinError unless two studies have the same datasets and natural probes."""
    if (one.study.datasets, one.study.others) != (two.study.datasets, two.study.others):
        raise ModelkinError("the two studies call their datasets otherwise, so they cannot be merged.")
    names = [one.study.dataset_manifest(label) for label in one.study.datasets]
    names += [paths.natural_probe(label) for label in ("", *one.study.others)]
    for name in names:
        a, b = (source.manifests.get(name, {}).get("digest") for source in (one, two))
        if a is None or a != b:
            raise ModelkinError(f"the two studies differ in {name}, so their models saw other images.")


def _opened(path: str | Path) -> Source:
    return Folder(path) if Path(path).suffix in (".yaml", ".yml") else bundle.Bundle(path)


def _files(source: Source, names: Collection[str]) -> set[str]:
    """The files of these artifacts: manifests, stores, and the marks of those that were left out."""
    stored = verify.stores(source.content, source.manifests)
    stores = {verify.store_of(name, source.manifests[name]) for name in names}
    marks = {verify.mark_of(name) for name in names}
    return {
        *names,
        *(file for store in stores for file in stored[store]),
        *(marks & source.content.digests.keys()),
    }


def _drop_stale(folder: Path, study: str) -> set[str]:
    """Remove what the merged config makes otherwise, and what was made of it; returns their manifests."""
    results = folder / bundle.RESULTS / study
    made = verify.manifests(verify.folder_content(results))
    dropped = {each.path for each in bundle.findings(folder, study) if each.state != "missing"}
    while (
        more := {name for name, manifest in made.items() if _lacks(name, manifest, made, dropped)} - dropped
    ):
        dropped |= more
    for name in dropped:
        remove(results / name, made[name]["suffix"])
    return dropped


def _lacks(name: str, manifest: Mapping[str, Any], made: Mapping[str, Any], dropped: set[str]) -> bool:
    """Whether something of which an artifact was made is not there any more."""
    return any(source in dropped or source not in made for source in verify.inputs(name, manifest))
