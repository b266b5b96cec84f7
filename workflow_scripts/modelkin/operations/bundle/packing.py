"""A study packed into one file."""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.operations import verify
from modelkin.operations.bundle.crate import crate_text
from modelkin.operations.bundle.opening import BESIDE, CONFIG, CRATE, FORMAT, LISTED, Bundle, parse_config
from modelkin.store import digests, paths
from modelkin.store.paths import RESULTS
from modelkin.study.yaml_text import write_yaml


def pack(
    path: str | Path,
    folder: str | Path,
    config: Mapping[str, Any],
    wanted: Mapping[str, verify.Wanted],
    *,
    without: Iterable[str] = (),
    activations_above: float = 0,
    license: str | None = None,
) -> dict[str, Any]:
    """Write the study of a folder, its artifacts and its config, as a bundle; returns its list.

    wanted: what the config wants, by manifest. without: 'checkpoints', 'dataset' or 'activations', of which
    only the manifests come along; activations_above: the latter only if their store is larger, in MB. A
    bundle is opened before it has its name, so whatever unpacking asks holds. Raises ModelkinError, and
    leaves no bundle, if an artifact is not whole or if nobody could unpack it.
    """
    path, folder = Path(path), Path(folder)
    text = _config_text(config, folder)
    found = verify.folder_content(folder)
    wrong, already = verify.check_integrity(found)
    _check_whole([*wrong, *verify.check_against_config(found, wanted)], folder)
    manifests = {name: made for name, made in verify.manifests(found).items() if name in wanted}
    stored = verify.stores(found, manifests)
    sizes = {
        name: sum(_size(folder, file) for file in stored[verify.store_of(name, made)])
        for name, made in manifests.items()
    }
    out = _left_out(sizes, set(without), activations_above).union(already) & manifests.keys()
    members: dict[str, Path | str] = {CONFIG: text}
    members |= _members(folder, manifests, stored, out)
    files = {name: _described(source, folder, found) for name, source in members.items()}
    members[CRATE] = _crate(folder.name, manifests, files, out, license)
    listed = {
        "format": FORMAT,
        "study": folder.name,
        "left_out": {name: _identity(manifests[name]) for name in sorted(out)},
        "software": _versions(manifests.values()),
        "files": files | {CRATE: _described(members[CRATE], folder, found)},
    }
    _write(path, {LISTED: json.dumps(listed, indent=1, sort_keys=True) + "\n", **members})
    return listed


def _config_text(config: Mapping[str, Any], folder: Path) -> str:
    """The text of a config, if a bundle may hold it: asked first, for all else of a study takes its time."""
    text = write_yaml(dict(config))
    try:
        parse_config(text, folder.name)
    except ModelkinError as error:
        raise ModelkinError(f"{folder} cannot be bundled, for nobody could unpack it: {error}.") from None
    return text


def _members(folder: Path, manifests, stored, out: set[str]) -> dict[str, Path | str]:
    """The study's part of the archive: its files, and marks in place of what is left out."""
    here, members = f"{RESULTS}/{folder.name}", {}
    for name, made in manifests.items():
        members[f"{here}/{name}"] = folder / name
        if name in out:
            members[f"{here}/{verify.mark_of(name)}"] = verify.left_out_text(made)
        else:
            files = stored[verify.store_of(name, made)]
            members |= {f"{here}/{file}": folder / file for file in files}
    return members


def _crate(study: str, manifests, files: Mapping[str, Any], out: set[str], license: str | None) -> str:

    sizes = {name: each["bytes"] for name, each in files.items()}
    return crate_text(
        study, manifests, sizes, folder=f"{RESULTS}/{study}", beside=BESIDE, left_out=out, license=license
    )


def _check_whole(findings: Iterable[verify.Finding], folder: Path) -> None:
    wrong = [each for each in findings if each.state != "orphaned"]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ModelkinError(
            f"{folder} cannot be bundled: {wrong[0].path} is {wrong[0].state}{more}; see `snakemake verify`."
        )


def _left_out(sizes: Mapping[str, int], without: set[str], activations_above: float) -> set[str]:
    """The manifests whose stores are not to come along, by the stores' sizes in bytes."""
    out = set()
    for name, size in sizes.items():
        section = paths.section(name)
        if (
            ("checkpoints" in without and section in ("models", "snapshots"))
            or ("dataset" in without and section == "dataset")
            or ("activations" in without and section == "activations" and size > activations_above * 1e6)
        ):
            out.add(name)
    return out


def _identity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of a store that is left out: its digest, and a model's origin and digest of its weights."""
    known = {key: manifest["facts"][key] for key in ("origin", "weights") if key in manifest["facts"]}
    return {"digest": manifest["digest"], **known}


def _versions(manifests: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """All versions of each package by which something was made."""
    found: dict[str, set[str]] = {}
    for manifest in manifests:
        for package, version in manifest["software"].items():
            found.setdefault(package, set()).add(version)
    return {package: sorted(versions) for package, versions in sorted(found.items())}


def _described(source: Path | str, folder: Path, found: verify.Content) -> dict[str, Any]:
    """Digest and size of a member: a file of the study, whose digest is known, or a text."""
    if isinstance(source, Path):
        name = source.relative_to(folder).as_posix()
        return {"sha256": found.digests[name], "bytes": source.stat().st_size}
    return {"sha256": digests.digest_of_text(source), "bytes": len(source.encode())}


def _size(folder: Path, name: str) -> int:
    return (folder / name).stat().st_size


def _write(path: Path, members: Mapping[str, Path | str]) -> None:
    """A zip of these members that can be opened; neither their ages nor the machine show in it."""
    temporary = path.with_name(f".{path.name}.partial")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, source in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            size = source.stat().st_size if isinstance(source, Path) else len(source.encode())
            with archive.open(info, "w", force_zip64=size > zipfile.ZIP64_LIMIT // 2) as to:
                if isinstance(source, Path):
                    with open(source, "rb") as stream:
                        shutil.copyfileobj(stream, to, 2**20)
                else:
                    to.write(source.encode())
    try:
        Bundle(temporary)
    except ModelkinError as error:
        temporary.unlink()
        raise ModelkinError(
            f"the bundle {path} cannot be made, for nobody could unpack it: {error}"
        ) from None
    os.replace(temporary, path)
