"""What is to be said of a study before anything of it runs: by the Snakefile, and by whoever only asks.

It reads the config, manifests, and of files outside only those that the config names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelkin.operations import changed_inputs, stages
from modelkin.operations.changed_inputs import Changed
from modelkin.store import disk, paths
from modelkin.store.manifests import read_intact, read_sound
from modelkin.study.config import Study, summarise_missing


def configured_study(config: dict[str, Any]) -> Study:
    """The study of a config beside what it has made; ModelkinError if it is wrong or cannot be written."""
    study = Study(config, made=lambda path: read_sound(f"{paths.RESULTS}/{path}"))
    disk.check_writable(paths.study_folder(study.name).as_posix())
    return study


@dataclass(frozen=True)
class Findings:
    """What does not fit to what the study was made of, and what is not there.

    Attributes
    ----------
    results : str
        The study's folder.
    changed : list of Changed
        Files outside that are not what artifacts were made of.
    moved : str
        What is to be told of models that were deleted or reordered; empty if none were.
    missing : mapping of str to str
        By the paths of the manifests that are made of it, what is not there, in sentences.
    stale : set of str
        Those of these manifests that are there and will be made anew.
    """

    results: str
    changed: list[Changed]
    moved: str
    missing: Mapping[str, str]
    stale: Collection[str] = frozenset()

    def lacking(self) -> list[str]:
        """What is missing and will be asked for, in sentences; what was taken in may be gone."""
        return [said for path, said in self.missing.items() if path in self.stale or not Path(path).exists()]

    def misfits(self) -> list[str]:
        """What would stand beside results of something else, in sentences."""
        said = [changed_inputs.file_sentence(each, self.results) for each in self.changed]
        return [*said, *([self.moved] if self.moved else [])]

    def sentences(self) -> list[str]:
        """All of it, what is missing as one sentence."""
        said = summarise_missing(self.lacking())
        return [*self.misfits(), *([f"before it can run: {said}"] if said else [])]


def look(study: Study) -> Findings:
    """Compare a study with what it has made, and with what is there."""
    results = paths.study_folder(study.name).as_posix()

    def made(path: str) -> Mapping[str, Any] | None:
        return read_intact(f"{results}/{path}")

    changed = changed_inputs.changed_files(study.outside(), made, f"{results}/{changed_inputs.MEMORY}")
    moved = changed_inputs.moved_models(study, made)
    return Findings(
        results,
        changed,
        changed_inputs.order_sentence(moved, study, results) if moved else "",
        {f"{results}/{path}": said for path, said in study.missing().items()},
        {f"{results}/{path}" for path in _taken_in_otherwise(study, made)},
    )


def _taken_in_otherwise(study: Study, made: changed_inputs.Made) -> Iterator[str]:
    """The manifests of models that were taken in as another entry or version of the stage asks for."""
    for name in study.taken:
        path = paths.model(name)
        found = made(path)
        if found is not None and (
            found["version"] != stages.get("import_model").version or not study.taken_in(name)
        ):
            yield path
