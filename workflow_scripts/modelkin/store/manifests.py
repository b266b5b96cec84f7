"""Artifacts: a store (file or directory) and a JSON manifest beside it that is written last.

Whoever finds a manifest may trust the store; a killed job leaves no manifest. A manifest holds its own
digest too, so no byte of an artifact changes unnoticed. This module knows nothing of what the stores mean.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.store import facts_schema
from modelkin.store.digests import digest_of, digest_of_text
from modelkin.store.disk import remove_path, writable_folder, write_text

# What every manifest holds; a suffix is empty for a store that is a folder of files.
HOLDS = {"stage": str, "version": int, "settings": dict, "inputs": dict, "manifests": dict}
HOLDS |= {"digest": str, "suffix": str, "facts": dict, "software": dict}
SUFFIX = re.compile(r"(\.[a-z_]+)?")
OWN = "manifest_digest"  # the key of a manifest's own digest, which is of everything else in it
LEFT_OUT = ".left_out"  # stands in place of a store that a bundle came without
SOFTWARE = ("modelkin", "torch", "numpy", "zarr", "xarray", "pandas", "scikit-learn")


def text_of(content: Mapping[str, Any]) -> str:
    """A manifest as it is written, to the byte."""
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def own_digest(content: Mapping[str, Any]) -> str:
    """sha256 of a manifest's text without the line that holds this digest."""
    rest = {key: value for key, value in content.items() if key != OWN}
    return digest_of_text(text_of(rest))


def identity(content: Mapping[str, Any]) -> str:
    """sha256 of what a manifest says of its artifact, but for where and by which software it was made.

    What was made of an artifact is as good as new beside another one of the same identity.
    """
    keys = ("stage", "version", "settings", "inputs", "digest", "facts", "suffix")
    return digest_of_text(text_of({key: content.get(key) for key in keys}))


def parse_intact(text: str) -> dict[str, Any] | None:
    """The manifest of a text, or None unless it is whole and, by its own digest, as it was written."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not _is_manifest(found):
        return None
    return found if found.get(OWN) == own_digest(found) and text == text_of(found) else None


def _is_manifest(found: Mapping[str, Any]) -> bool:
    """Whether everything that is relied on is there and of its type: it may be somebody else's."""
    return HOLDS.keys() <= found.keys() and _has_types(found)


def _has_types(found: Mapping[str, Any]) -> bool:
    """Whether what a manifest cannot do without is there, and everything that is there of its type."""
    named = [found.get(key, {}) for key in ("inputs", "manifests", "software")]
    return (
        {"digest", "facts"} <= found.keys()
        and all(isinstance(found[key], kind) for key, kind in HOLDS.items() if key in found)
        and not isinstance(found.get("version"), bool)
        and all(isinstance(value, str) for each in named for value in each.values())
        and SUFFIX.fullmatch(found.get("suffix", "")) is not None
        and isinstance(found.get("device", ""), str)
        and _is_outside(found.get("outside", {}))
    )


def _is_outside(found: Any) -> bool:
    """Whether these are descriptions of files as
    :func:`modelkin.store.outside_files.describe_outside` gives them, or revisions of names at a hub.
    """
    file, name = {"sha256": str, "bytes": int, "files": int}, {"revision": str}
    return isinstance(found, dict) and all(
        isinstance(each, dict)
        and any(
            each.keys() == kinds.keys() and all(isinstance(each[key], kind) for key, kind in kinds.items())
            for kinds in (file, name)
        )
        for each in found.values()
    )


def read(manifest: str | Path) -> dict[str, Any]:
    """Read a manifest.

    Parameters
    ----------
    manifest : path

    Returns
    -------
    dict

    Raises
    ------
    ModelkinError
        If it is missing, damaged or no manifest.
    """
    try:
        found = json.loads(Path(manifest).read_text())
    except FileNotFoundError:
        raise ModelkinError(f"{manifest} is missing; run the workflow to make it.") from None
    except (ValueError, RecursionError) as error:
        raise ModelkinError(f"{manifest} is damaged ({error}); delete it and run again.") from None
    if not isinstance(found, dict) or not _has_types(found):
        raise ModelkinError(f"{manifest} is not a manifest of modelkin; delete it and run again.")
    return found


def facts(manifests: Iterable[str | Path]) -> dict[str, dict[str, Any]]:
    """Read the facts of several artifacts.

    Parameters
    ----------
    manifests : iterable of path

    Returns
    -------
    dict
        Facts by the names of the manifests.
    """
    return {Path(manifest).stem: read(manifest)["facts"] for manifest in manifests}


def store_of(manifest: str | Path, suffix: str = ".zarr") -> Path:
    """Find the store beside a manifest.

    Parameters
    ----------
    manifest : path
    suffix : str
        Of the store; empty for a folder of files.

    Returns
    -------
    Path

    Raises
    ------
    ModelkinError
        If it is missing, or was left out of the bundle that the study came in.
    """
    path = Path(manifest).with_suffix(suffix)
    if not path.exists() and Path(manifest).with_suffix(LEFT_OUT).exists():
        raise ModelkinError(
            f"{path} was left out of the bundle that this study came in; ask for a bundle with it, or delete "
            f"{manifest} and {Path(manifest).with_suffix(LEFT_OUT)} and run again to make it anew."
        )
    if not path.exists():
        raise ModelkinError(
            f"{path} is missing although its manifest exists; delete {manifest} and run again."
        )
    return path


def verified_store_of(manifest: str | Path, suffix: str) -> Path:
    """Find a store, and make sure that every byte of it is what was stored.

    It reads all of it, so it is for stores without checksums of their own.

    Parameters
    ----------
    manifest : path
    suffix : str

    Returns
    -------
    Path

    Raises
    ------
    ModelkinError
        If it is missing or damaged.
    """
    path = store_of(manifest, suffix)
    if digest_of(path) != read(manifest)["digest"]:
        raise _damage(path, manifest)
    return path


def first_damage(manifests: Iterable[str | Path]) -> ModelkinError | None:
    """What to say of the first of these that is not what was stored or has odd facts; None if none is."""
    for manifest in map(Path, manifests):
        if manifest.suffix != ".json" or not manifest.is_file():
            continue
        found = read_intact(manifest)
        if found is None:
            return ModelkinError(f"{manifest} is damaged; delete it and run again.")
        path = manifest.with_suffix(found["suffix"])
        if path.exists() and digest_of(path) != found["digest"]:
            return _damage(path, manifest)
        if why := facts_schema.why_wrong(found["stage"], found["facts"]):
            return _odd_facts(manifest, why)
    return None


def _odd_facts(manifest: str | Path, why: str) -> ModelkinError:
    return ModelkinError(
        f"the facts in {manifest} are not those of its stage ({why}); delete it and run again."
    )


def _damage(path: Path, manifest: str | Path) -> ModelkinError:
    return ModelkinError(
        f"{path} is damaged: it is not what was stored; delete {manifest} and run again to make it anew."
    )


def read_intact(manifest: str | Path) -> dict[str, Any] | None:
    """The manifest at that path if it is there and as it was written."""
    path = Path(manifest)
    return parse_intact(path.read_text(errors="replace")) if path.is_file() else None


def read_sound(manifest: str | Path) -> dict[str, Any] | None:
    """As :func:`read_intact`; ModelkinError if its facts are not those of its stage."""
    found = read_intact(manifest)
    if found is not None and (why := facts_schema.why_wrong(found["stage"], found["facts"])):
        raise _odd_facts(manifest, why)
    return found


def write(
    manifest: str | Path,
    save: Callable[[Path], None],
    *,
    suffix: str = ".zarr",
    stage: str,
    version: int,
    settings: Mapping[str, Any] | None = None,
    inputs: Iterable[str | Path] = (),
    facts: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    device: str | None = None,
    outside: Callable[[], Mapping[str, Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Save a store under a temporary name, move it into place, then write its manifest.

    So whoever finds a manifest finds a finished store.

    Parameters
    ----------
    manifest : path
    save : callable
        Writes the store at the path that it is given.
    suffix : str
        Of the store; empty for a folder of files.
    stage : str
    version : int
        Of the stage.
    settings : mapping, optional
        What of the config decided the content.
    inputs : iterable of path
        Manifests of what it was made of.
    facts : mapping or callable, optional
        What a reader wants to know without opening the store; nothing that changes when the content does not.
        A callable is called when the store has been saved.
    outside : callable, optional
        Called likewise; says what the files without manifests were of which it was made
        (:meth:`modelkin.store.outside_files.WatchedFiles.described`).
    device : str, optional
        Where it was computed.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ModelkinError
        If there is no room or no permission.
    """
    manifest = Path(manifest)
    final = manifest.with_suffix(suffix)
    temporary = final.with_name(f".{final.name}.partial")
    with writable_folder(manifest.parent):
        manifest.unlink(missing_ok=True)
        manifest.with_suffix(LEFT_OUT).unlink(missing_ok=True)
        remove_path(temporary)
        try:
            save(temporary)
        except Exception:
            remove_path(temporary)  # of no use to the next start, and it may be what filled the disk
            raise
        digest = digest_of(temporary)
        remove_path(final)
        os.replace(temporary, final)
        content = {
            **provenance(manifest, stage, version, settings, inputs),
            "digest": digest,
            "suffix": suffix,
            "manifests": {_short(path, manifest): identity(read(path)) for path in inputs},
            "facts": dict(facts() if callable(facts) else facts or {}),
            "software": software_versions(),
        }
        if device is not None:
            content["device"] = device
        if outside is not None and (described := outside()):
            content["outside"] = described
        content = json.loads(json.dumps(content))
        content[OWN] = own_digest(content)
        write_text(manifest, text_of(content))
    return content


def is_current(
    manifest: str | Path,
    *,
    suffix: str,
    stage: str,
    version: int,
    settings: Mapping[str, Any],
    inputs: Iterable[str | Path],
) -> bool:
    """Tell whether an artifact is there, undamaged, and made of these inputs with these settings.

    Parameters
    ----------
    manifest : path
    suffix : str
        Of the store.
    stage : str
    version : int
        Of the stage.
    settings : mapping
    inputs : iterable of path
        Manifests of what it should have been made of.

    Returns
    -------
    bool
    """
    manifest = Path(manifest)
    if not manifest.exists() or not manifest.with_suffix(suffix).exists():
        return False
    found = read(manifest)
    wanted = provenance(manifest, stage, version, settings, inputs)
    return all(found.get(key) == value for key, value in wanted.items()) and (
        found["digest"] == digest_of(manifest.with_suffix(suffix))
    )


def remove(manifest: str | Path, suffix: str) -> None:
    """Delete an artifact: its manifest first, so that nothing unfinished looks finished, then its store.

    Parameters
    ----------
    manifest : path
    suffix : str
        Of the store.
    """
    manifest = Path(manifest)
    manifest.unlink()
    for store_or_mark in (manifest.with_suffix(suffix), manifest.with_suffix(LEFT_OUT)):
        remove_path(store_or_mark)


def provenance(
    manifest: Path,
    stage: str,
    version: int,
    settings: Mapping[str, Any] | None,
    inputs: Iterable[str | Path],
) -> dict[str, Any]:
    """The part of a manifest that says what decided the content, in the form JSON gives it back."""
    made = {
        "stage": stage,
        "version": version,
        "settings": dict(settings or {}),
        "inputs": {_short(path, manifest): read(path)["digest"] for path in inputs},
    }
    return json.loads(json.dumps(made))


def software_versions() -> dict[str, str]:
    """Versions of Python and of the packages on which results depend."""
    found = {"python": platform.python_version()}
    for name in SOFTWARE:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _short(path: str | Path, manifest: Path) -> str:
    """path relative to the manifest's folder, so that a moved study keeps its manifests."""
    return Path(os.path.relpath(path, manifest.parent)).as_posix()
