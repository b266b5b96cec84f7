"""Is a study whole? Every byte of its artifacts against their manifests, and these against the config.

It reads digests and manifests only, so it serves a folder and an archive alike, and knows no stage.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from modelkin.store.digests import digest_of, digest_of_files, digest_of_text
from modelkin.store.manifests import LEFT_OUT, parse_intact

# What the workflow leaves beside artifacts.
ASIDE = ("logs/", "benchmarks/", "report.")
TOLD = "logs/verify.jsonl"  # the findings of the last time, one a line, for programs
ADVICE = {
    "damaged": "delete its manifest and run the workflow again",
    "missing": "delete its manifest if it has one, and run the workflow",
    "stale": "run the workflow; should it find nothing to do, delete the manifest first",
    "orphaned": "delete it, or give the config back what made it",
}


class Wanted(NamedTuple):
    """What the config wants an artifact to be made of: manifests by their path below the study."""

    version: int
    settings: dict[str, Any]
    inputs: list[str]


class Finding(NamedTuple):
    """Something wrong with a file of a study: its path, a key of :data:`ADVICE`, and why."""

    path: str
    state: str
    why: str


class Content(NamedTuple):
    """A study's files: the sha256 of each by its path below the study, and the text of each ``.json``."""

    digests: dict[str, str]
    texts: dict[str, str]


def folder_content(folder: str | Path) -> Content:
    """Every file of a study's folder, but what is no artifact: logs, benchmarks, reports."""
    folder = Path(folder)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files = {name: path for name, path in files.items() if not name.startswith(ASIDE)}
    return Content(
        {name: digest_of(path) for name, path in files.items()},
        {name: path.read_text(errors="replace") for name, path in files.items() if name.endswith(".json")},
    )


def manifests(found: Content) -> dict[str, dict[str, Any] | None]:
    """The manifests of a study by their paths, None for those that are not as they were written.

    A ``.json`` inside a store is none.
    """
    every = {name: parse_intact(text) for name, text in found.texts.items()}
    stores = {store_of(name, made) for name, made in every.items() if made}
    # Of an unreadable one nobody knows whether the folder of its name is its store.
    perhaps = {name.removesuffix(".json") for name, made in every.items() if made is None}
    inside = {
        name
        for name, made in every.items()
        for parent in map(str, PurePosixPath(name).parents)
        if parent in stores or (made is None and parent in perhaps)
    }
    return {name: made for name, made in every.items() if name not in inside}


def store_of(manifest: str, made: Mapping[str, Any]) -> str:
    """The path of the store beside a manifest."""
    return manifest.removesuffix(".json") + made["suffix"]


def mark_of(manifest: str) -> str:
    """The path of what stands in place of a store that was left out."""
    return manifest.removesuffix(".json") + LEFT_OUT


def stores(found: Content, made: Mapping[str, Any]) -> dict[str, list[str]]:
    """The files of each manifest's store, by the store's path: itself, or what is in the folder."""
    files = {store_of(name, manifest): [] for name, manifest in made.items() if manifest}
    for name in found.digests:
        path = PurePosixPath(name)
        owner = next((each for each in (name, *map(str, path.parents)) if each in files), None)
        if owner is not None and name not in made:
            files[owner].append(name)
    return files


def check_integrity(found: Content) -> tuple[list[Finding], list[str]]:
    """What is damaged, made of other inputs than are there, or belongs to nothing; and what was left out.

    Left out are stores, by their manifests, that a bundle came without; they are as they should be.
    """
    findings, left_out, owned = [], [], set()
    made = manifests(found)
    stored = stores(found, made)
    for name, manifest in made.items():
        owned.add(name)
        if manifest is None:
            findings.append(Finding(name, "damaged", "the manifest is not as it was written"))
            continue
        store = store_of(name, manifest)
        files = stored[store]
        owned.update(files)
        mark = mark_of(name)
        if not files and mark in found.digests:
            owned.add(mark)
            left_out.append(name)
            if found.digests[mark] != digest_of_text(left_out_text(manifest)):
                findings.append(Finding(mark, "damaged", "it does not name the store that was left out"))
        elif not files:
            findings.append(Finding(name, "missing", f"its store {store} is not there"))
        elif digest(store, files, found.digests) != manifest["digest"]:
            findings.append(Finding(name, "damaged", f"{store} is not what was stored"))
        findings += _changed_inputs(name, manifest, made)
    findings += _unowned(found.digests.keys() - owned, made)
    return findings, left_out


def digest(store: str, files: Iterable[str], digests: Mapping[str, str]) -> str:
    """The digest of a store from those of its files, as :func:`modelkin.store.digests.digest_of` gives it."""
    if store in digests:
        return digests[store]
    return digest_of_files({name.removeprefix(f"{store}/"): digests[name] for name in files})


def left_out_text(manifest: Mapping[str, Any]) -> str:
    """What stands in the file that takes the place of a store."""
    return f"{manifest['digest']}\n"


def inputs(name: str, manifest: Mapping[str, Any], of: str = "inputs") -> dict[str, str]:
    """The digests of what an artifact was made of, by the manifests' paths below the study.

    of: 'inputs', the digests of their stores, or 'manifests', their identities
    (:func:`modelkin.store.manifests.identity`).
    """
    folder = posixpath.dirname(name)
    return {posixpath.normpath(posixpath.join(folder, each)): d for each, d in manifest[of].items()}


def check_against_config(found: Content, wanted: Mapping[str, Wanted]) -> list[Finding]:
    """What is missing, stale or orphaned when the config wants these artifacts, by their manifests' paths."""
    made = manifests(found)
    findings = [Finding(name, "missing", "it is not there") for name in wanted if name not in made]
    for name, manifest in made.items():
        if name not in wanted:
            findings.append(Finding(name, "orphaned", "no rule of this config makes it"))
        elif manifest is not None:
            why = _differs(name, manifest, wanted[name])
            findings += [Finding(name, "stale", why)] if why else []
    return findings


def _differs(name: str, manifest: Mapping[str, Any], wanted: Wanted) -> str | None:
    """How a manifest differs from what is wanted, or None."""
    if manifest["version"] != wanted.version:
        return f"its stage's version is {manifest['version']} and now {wanted.version}"
    settings = json.loads(json.dumps(wanted.settings))
    keys = settings.keys() | manifest["settings"].keys()
    other = sorted(key for key in keys if settings.get(key) != manifest["settings"].get(key))
    if other:
        return f"the config changed: {', '.join(other)}"
    if inputs(name, manifest).keys() != set(wanted.inputs):
        return "it was made of other artifacts"
    return None


def _changed_inputs(name: str, manifest: Mapping[str, Any], made: Mapping[str, Any]) -> list[Finding]:
    changed = [
        source
        for source, digest in inputs(name, manifest).items()
        if made.get(source) and made[source]["digest"] != digest
    ]
    return [Finding(name, "stale", f"{changed[0]} changed since")] if changed else []


def _unowned(names: Iterable[str], made: Mapping[str, Any]) -> list[Finding]:
    """Files that belong to no artifact, but those that may belong to one whose manifest is unreadable."""
    unreadable = [name.removesuffix(".json") for name, manifest in made.items() if manifest is None]
    orphans = sorted(
        name for name in names if not any(name.startswith((f"{stem}.", f"{stem}/")) for stem in unreadable)
    )
    # A store of a thousand files is one thing to delete.
    tops = dict.fromkeys(_outermost(name) for name in orphans)
    return [Finding(name, "orphaned", "it belongs to no artifact") for name in tops]


def _outermost(name: str) -> str:
    """The store that a file without a manifest seems to be in, or the file."""
    for parent in reversed(PurePosixPath(name).parents):
        if parent.suffix in (".zarr", ".partial", ".parts"):
            return parent.as_posix()
    return name


def verification_report(
    study: str, findings: Iterable[Finding], artifacts_found: int, left_out: Iterable[str]
) -> tuple[str, bool]:
    """What to tell the user, and whether all is fine. Each finding says what, why and what to do."""
    findings = sorted(set(findings))
    out = len(list(left_out))
    counted = f"{artifacts_found} artifacts" + (f", {out} of them left out by the bundle" if out else "")
    if not findings:
        return f"{study}: all fine, {counted}.", True
    lines = [f"{study}: {len(findings)} findings in {counted}."]
    lines += [f"{each.state:<9} {each.path}: {each.why}; {ADVICE[each.state]}." for each in findings]
    return "\n".join(lines), False
