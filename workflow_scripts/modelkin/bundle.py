"""A study as one file that others can unpack, check and go on with.

A bundle is a zip of uncompressed members: config.yaml, ``bundle.json`` (sha256 and size of everything else),
``ro-crate-metadata.json`` and the artifacts. It is not trusted: whatever it holds is checked before the first
byte is written.

python -m modelkin.bundle unpack FILE
python -m modelkin.bundle merge FIRST SECOND --study NAME
"""

from __future__ import annotations

import argparse
import graphlib
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from modelkin import artifacts, verify
from modelkin.config import Study
from modelkin.errors import ModelkinError

FORMAT = 1
CONFIG, LISTED, CRATE = "config.yaml", "bundle.json", "ro-crate-metadata.json"
BESIDE = {
    CONFIG: "the config of the study",
    LISTED: "sha256 and size of every file, what was left out, and the versions of the software",
}
RESULTS = "results"
SNAKEFILE = Path(__file__).parents[2] / "Snakefile"
READABLE = 2**26  # bytes; config, list and manifests are read into memory
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def pack(
    path: str | Path,
    folder: str | Path,
    config: Mapping[str, Any],
    wanted: Mapping[str, verify.Made],
    *,
    without: Iterable[str] = (),
    activations_above: float = 0,
    license: str | None = None,
) -> dict[str, Any]:
    """Write the study of a folder, its artifacts and its config, as a bundle; returns its list.

    wanted: what the config wants, by manifest. without: 'checkpoints', 'dataset' or 'activations', of which
    only the manifests come along; activations_above: the latter only if their store is larger, in MB. Raises
    ModelkinError if an artifact is not whole.
    """
    path, folder = Path(path), Path(folder)
    found = verify.content(folder)
    wrong, already = verify.whole(found)
    _check_whole([*wrong, *verify.against(found, wanted)], folder)
    manifests = {name: made for name, made in verify.manifests(found).items() if name in wanted}
    stored = verify.stores(found, manifests)
    sizes = {
        name: sum(_size(folder, file) for file in stored[verify.store_of(name, made)])
        for name, made in manifests.items()
    }
    out = _left_out(sizes, set(without), activations_above).union(already) & manifests.keys()
    members: dict[str, Path | str] = {CONFIG: yaml.safe_dump(dict(config), sort_keys=False)}
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
    # Imported late: unpacking describes nothing.
    from modelkin import crate

    sizes = {name: each["bytes"] for name, each in files.items()}
    return crate.described(
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
        folder = name.split("/")[0]
        if (
            ("checkpoints" in without and folder == "models")
            or ("dataset" in without and folder.startswith("dataset."))
            or ("activations" in without and folder == "activations" and size > activations_above * 1e6)
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
    return {"sha256": artifacts.digest_of_text(source), "bytes": len(source.encode())}


def _size(folder: Path, name: str) -> int:
    return (folder / name).stat().st_size


def _write(path: Path, members: Mapping[str, Path | str]) -> None:
    """A zip of these members; neither their ages nor the machine show in it."""
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
    os.replace(temporary, path)


class Bundle:
    """A bundle that was found to be sound: its list, its config and the digests of its files.

    Nothing has been written. Raises ModelkinError, and leaves everything as it is, if it cannot be trusted.
    """

    def __init__(self, path: str | Path):
        self.path = Path(artifacts.check_file(path, "the bundle"))
        try:
            self._archive = zipfile.ZipFile(self.path)
            self._infos = _checked_members(self.path, self._archive.infolist())
            self.listed = _checked_list(self._json(LISTED), self._infos)
            self.name: str = self.listed["study"]
            self._check_digests()
            self.config = self._yaml(CONFIG)
            self.content = self._content()
            self.manifests = verify.manifests(self.content)
            self._check_artifacts()
            self.study = self._valid_study()
        except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeDecodeError, OSError) as error:
            raise ModelkinError(f"{path} is damaged or not a bundle ({error}); ask for it again.") from None

    @property
    def left_out(self) -> list[str]:
        """The manifests whose stores did not come along."""
        return sorted(self.listed["left_out"])

    def extract(self, folder: Path, keep: Callable[[str], bool] = lambda name: True) -> None:
        """Write the study's files (those to keep, by their paths below it) into a new folder."""
        prefix = f"{RESULTS}/{self.name}/"
        for name, info in self._infos.items():
            below = name.removeprefix(prefix)
            if below != name and keep(below):
                target = folder / below
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._archive.open(info) as stream, open(target, "wb") as to:
                    shutil.copyfileobj(stream, to, 2**20)

    def _refused(self, why: str) -> ModelkinError:
        return ModelkinError(f"the bundle {self.path} is refused: {why}; nothing was written.")

    def _text(self, name: str) -> str:
        if self._infos[name].file_size > READABLE:
            raise self._refused(f"{name} is too large")
        return self._archive.read(self._infos[name]).decode()

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._text(name))
        except (ValueError, RecursionError):
            raise self._refused(f"{name} is not JSON") from None

    def _yaml(self, name: str) -> dict[str, Any]:
        text = self._text(name)
        try:
            # A few lines of aliases can stand for more than any memory holds.
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
                raise self._refused(f"{name} has aliases")
            found = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise self._refused(f"{name} is not YAML") from None
        if not isinstance(found, dict) or found.get("study") != self.name:
            raise self._refused(f"{name} is not the config of the study '{self.name}'")
        return found

    def _check_digests(self) -> None:
        for name, said in self.listed["files"].items():
            total = hashlib.sha256()
            with self._archive.open(self._infos[name]) as stream:
                while block := stream.read(2**20):
                    total.update(block)
            if total.hexdigest() != said.get("sha256"):
                raise self._refused(f"{name} is not what its digest says")

    def _content(self) -> verify.Content:
        prefix = f"{RESULTS}/{self.name}/"
        below = {name.removeprefix(prefix): name for name in self.listed["files"] if name.startswith(prefix)}
        digests = {short: self.listed["files"][name]["sha256"] for short, name in below.items()}
        texts = {short: self._text(name) for short, name in below.items() if short.endswith(".json")}
        return verify.Content(digests, texts)

    def _check_artifacts(self) -> None:
        findings, left_out = verify.whole(self.content)
        if findings:
            raise self._refused(f"{findings[0].path} is {findings[0].state} ({findings[0].why})")
        if sorted(left_out) != self.left_out:
            raise self._refused("what it says was left out is not what is missing")
        for name, made in self.manifests.items():
            lacking = [source for source in verify.inputs(name, made) if source not in self.manifests]
            if lacking:
                raise self._refused(f"{lacking[0]}, of which {name} was made, is not in it")
            for source, identity in verify.inputs(name, made, of="manifests").items():
                if source not in self.manifests or identity != artifacts.identity(self.manifests[source]):
                    raise self._refused(f"{source} is not the manifest that {name} was made beside")
        try:
            graphlib.TopologicalSorter(
                {name: list(verify.inputs(name, made)) for name, made in self.manifests.items()}
            ).prepare()
        except graphlib.CycleError:
            raise self._refused("some of its artifacts were made of themselves") from None

    def _valid_study(self) -> Study:
        try:
            return Study(
                self.config, made=lambda path: self.manifests.get(path.removeprefix(f"{self.name}/"))
            )
        except ModelkinError as error:
            raise self._refused(f"its config is not valid: {str(error).rstrip('.')}") from None


def _checked_members(path: Path, infos: Iterable[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members by name; ModelkinError unless all are plain uncompressed files below the archive's root."""
    found: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    total = 0
    for info in infos:
        why = _unsafe(info)
        # Two names that some file systems take for one are duplicates too.
        if why is None and info.filename.casefold() in seen:
            why = "stands there twice"
        if why is not None:
            raise ModelkinError(
                f"the bundle {path} is refused: {info.filename!r} {why}; nothing was written."
            )
        seen.add(info.filename.casefold())
        found[info.filename] = info
        total += info.file_size
    if total > path.stat().st_size:
        raise ModelkinError(
            f"the bundle {path} is refused: it claims more than it holds; nothing was written."
        )
    for name in found:
        if any(parent.as_posix().casefold() in seen for parent in PurePosixPath(name).parents):
            raise ModelkinError(f"the bundle {path} is refused: {name!r} is in a file; nothing was written.")
    for name in (CONFIG, LISTED, CRATE):
        if name not in found:
            raise ModelkinError(f"the bundle {path} is refused: it lacks {name}; nothing was written.")
    return found


def _unsafe(info: zipfile.ZipInfo) -> str | None:
    """Why a member cannot be written where it says, or None."""
    # zipfile cuts names at a NUL and turns the other system's separators round.
    name = info.orig_filename
    parts = PurePosixPath(name).parts
    if name != info.filename or not name.isprintable() or "\\" in name or ":" in name:
        return "is not a usable path"
    if name.startswith("/") or ".." in parts or PurePosixPath(name).as_posix() != name:
        return "leads out of the bundle"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        return "is a link, a device or a folder, not a file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        return "is compressed, which nothing in a bundle is"
    return None


def _checked_list(listed: Any, infos: Mapping[str, zipfile.ZipInfo]) -> dict[str, Any]:
    """The bundle's list; ModelkinError unless it is one, and names just what is in the archive."""

    def wrong(why: str) -> ModelkinError:
        return ModelkinError(f"the bundle is refused: {LISTED} {why}; nothing was written.")

    if not isinstance(listed, dict) or listed.get("format") != FORMAT:
        raise wrong(f"is not of format {FORMAT}; use the modelkin that made it")
    study, files = listed.get("study"), listed.get("files")
    if not isinstance(study, str) or not NAME.fullmatch(study):
        raise wrong("names no usable study")
    if not isinstance(listed.get("left_out"), dict) or not isinstance(files, dict):
        raise wrong("lacks a part")
    for name, said in files.items():
        if not isinstance(said, dict) or name not in infos or infos[name].file_size != said.get("bytes"):
            raise wrong(f"does not fit {name!r}")
    for name in infos.keys() - {LISTED}:
        if name not in files:
            raise wrong(f"does not name {name!r}")
        if name not in (CONFIG, CRATE) and not name.startswith(f"{RESULTS}/{study}/"):
            raise wrong(f"names {name!r}, which belongs to no study")
    return listed


def unpack(path: str | Path, folder: str | Path = ".") -> Bundle:
    """Check a bundle, and write its study below ``folder/results`` and its config as ``folder/<study>.yaml``.

    Raises ModelkinError before anything is written if the bundle is not sound, or if one of the two is there.
    """
    bundle = Bundle(path)
    folder = Path(folder)
    check_new(folder, bundle.name)
    _check_room(folder, sum(said["bytes"] for said in bundle.listed["files"].values()))
    place(folder, bundle.name, bundle.config, bundle.extract)
    wrong = [each for each in findings(folder, bundle.name) if each.state != "missing"]
    if wrong:
        raise ModelkinError(
            f"{RESULTS}/{bundle.name} is in place, but {wrong[0].path} is {wrong[0].state} ({wrong[0].why}), "
            f"one of {len(wrong)} findings; `snakemake verify` names them and says what to do."
        )
    record(folder, bundle.name, bundle.manifests)
    return bundle


def check_new(folder: Path, study: str) -> None:
    """ModelkinError if there is a study or a config of that name already."""
    for path in (folder / RESULTS / study, folder / f"{study}.yaml"):
        if path.exists() or path.is_symlink():
            raise ModelkinError(
                f"{path} is there already and is not overwritten; move it away or work elsewhere."
            )


def place(folder: Path, study: str, config: Mapping[str, Any], fill: Callable[[Path], None]) -> None:
    """Fill a new folder and move it to its place among the results, with its config beside.

    A run that is interrupted leaves nothing that looks like a study.
    """
    final = folder / RESULTS / study
    artifacts.check_writable(final)
    temporary = final.with_name(f".{study}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        (folder / f"{study}.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
        os.replace(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def findings(folder: Path, study: str) -> list[verify.Finding]:
    """What `snakemake verify` finds in the study of a folder; ModelkinError if it cannot be asked."""
    told = folder / RESULTS / study / verify.TOLD
    told.unlink(missing_ok=True)
    checked = _snakemake(folder, study, "verify")
    if not told.exists():
        raise _not_recorded(study, checked.stdout)
    return [verify.Finding(*json.loads(line)) for line in told.read_text().splitlines()]


def record(folder: Path, study: str, manifests: Iterable[str]) -> None:
    """Let Snakemake know that these artifacts are what the config asks for, which has been verified.

    Without its records it would take them for up to date whatever the config says later.
    """
    targets = [f"{RESULTS}/{study}/{name}" for name in manifests if not _is_part(name)]
    touched = _snakemake(folder, study, "--touch", "--forceall", *targets)
    if touched.returncode:
        raise _not_recorded(study, touched.stdout)


def _not_recorded(study: str, said: str) -> ModelkinError:
    return ModelkinError(
        f"{RESULTS}/{study} is in place, but Snakemake cannot go on with it: {said.strip()[-500:]}"
    )


def _is_part(manifest: str) -> bool:
    """Whether an artifact is one measure's part of a similarity shell, of which Snakemake does not know."""
    return manifest.startswith("similarity/") and manifest.count("/") == 2


def _snakemake(folder: Path, study: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(SNAKEFILE),
        "--configfile",
        f"{study}.yaml",
    ]
    return subprocess.run(
        [*command, "--cores", "1", *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ModelkinError(
            f"the bundle needs {size / 1e9:.1f} GB, but {folder.absolute()} has {free / 1e9:.1f} free."
        )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m modelkin.bundle", description="Studies as files.")
    commands = parser.add_subparsers(dest="command", required=True)
    unpacking = commands.add_parser("unpack", help="check a bundle and put its study into this folder")
    unpacking.add_argument("file")
    merging = commands.add_parser(
        "merge", help="make one study of two, each a bundle or a config of this folder"
    )
    merging.add_argument("first")
    merging.add_argument("second")
    merging.add_argument("--study", required=True, help="name of the new study")
    given = parser.parse_args(arguments)
    try:
        if given.command == "unpack":
            print(_unpacked(unpack(given.file)))
        else:
            # Imported late: it is made of what stands here.
            from modelkin.merge import merge

            print(merge(given.first, given.second, given.study))
    except ModelkinError as error:
        sys.exit(str(error))


def _unpacked(bundle: Bundle) -> str:
    out = bundle.left_out
    lines = [f"{RESULTS}/{bundle.name} and {bundle.name}.yaml: {len(bundle.manifests)} artifacts, all whole."]
    if out:
        lines.append(
            f"{len(out)} of them came without their store; what is made of these needs a bundle with them."
        )
    lines.append(f"Go on with: snakemake --cores 2 --configfile {bundle.name}.yaml")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
