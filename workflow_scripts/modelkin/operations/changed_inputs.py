"""What a finished study rests on and nothing remakes by itself: files outside of it, and the order of its
models.

Snakemake watches neither. New results beside old ones that were made of something else would be a mixture,
so it is said before anything runs. It reads manifests, and of files outside only those that the config names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modelkin.networks import hub
from modelkin.operations import verify
from modelkin.store import paths
from modelkin.store.outside_files import OutsideFiles
from modelkin.study.config import Study

MEMORY = "logs/outside.json"  # below the study: what was read, by its times
Made = Callable[[str], Mapping[str, Any] | None]  # the manifest at a path below the study


class Changed(NamedTuple):
    """An artifact's manifest below the study, and the file, folder or name at a hub that is not what it was
    made of; of such a name also the revision that it was at.
    """

    manifest: str
    path: str
    revision: str = ""


def changed_files(
    outside: Mapping[str, list[str]], made: Made, memory: str | Path | None = None
) -> list[Changed]:
    """The files and folders outside of a study that changed after they were taken in.

    Parameters
    ----------
    outside
        As :meth:`modelkin.study.config.Study.outside` gives them.
    made
        Gives the manifest at a path below the study, None if there is none.
    memory
        Where to keep what was read, so that a file of the same size and times is not read again; without
        it, all are read.

    Returns
    -------
    list of Changed
        What is not there any more is none: it may go when it has been taken in. Neither is what a manifest
        of earlier versions does not tell.
    """
    files, found = OutsideFiles(memory), []
    for manifest, files_of in outside.items():
        recorded = (made(manifest) or {}).get("outside", {})
        named = {path: recorded[path] for path in files_of if "sha256" in recorded.get(path, {})}
        found += [Changed(manifest, path) for path in files.changed(named)]
        found += [
            Changed(manifest, name, was["revision"])
            for name, was in recorded.items()
            if "revision" in was and hub.has_moved(name, was["revision"])
        ]
    files.remember()
    return found


def unrecorded(outside: Mapping[str, list[str]], made: Made) -> list[str]:
    """The manifests of what was taken in from outside before manifests told what that was."""
    return [
        manifest
        for manifest, files_of in outside.items()
        if files_of and (content := made(manifest)) is not None and "outside" not in content
    ]


def resting_on(manifest: str, made: Mapping[str, Mapping[str, Any] | None]) -> set[str]:
    """The artifacts that were made of this one, directly or not; made: all manifests by their paths."""
    uses = {name: verify.inputs(name, content) for name, content in made.items() if content}
    found, new = set(), {manifest}
    while new:
        new = {name for name, inputs in uses.items() if not new.isdisjoint(inputs)} - found
        found |= new
    return found


def file_sentence(changed: Changed, results: str) -> str:
    """What to tell the user of a changed file or name at a hub, and what to do."""
    if changed.path.startswith(hub.SCHEME):
        return hub.moved_sentence(changed.path, changed.revision, f"{results}/{changed.manifest}")
    return (
        f"{changed.path} is not what {results}/{changed.manifest} was made of; put back what was there "
        "(new code or images can have files of their own), or delete that manifest and run again to make it "
        "and all that rests on it anew."
    )


def moved_models(study: Study, made: Made) -> dict[str, list[str]]:
    """The models before which others stand now than when their shells were made: by name, those of then."""
    found = {}
    for name in study.compared:
        then = (made(paths.similarity(name)) or {}).get("settings", {}).get("models")
        if isinstance(then, list) and then != study.through(name):
            found[name] = then
    return found


def order_sentence(moved: Mapping[str, list[str]], study: Study, results: str) -> str:
    """What to tell the user of models that were deleted or that stand in another order."""
    name, then = next(iter(moved.items()))
    gone = [each for each in then if each not in study.names]
    what = f"model '{gone[0]}' is gone from" if gone else "the order is another in"
    cure = "back, with `retired: true`" if gone else "the models back into that order"
    shells = ", ".join(f"{results}/similarity/{each}.json" for each in list(moved)[:3])
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return (
        f"{what} the config, where '{name}' stood after {', '.join(then[:-1][:5]) or 'none'}; put {cure}, "
        f"or delete {shells}{more} to have the shells of {len(moved)} models computed anew."
    )
