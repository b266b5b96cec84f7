"""A bundle as it is opened: checked whole before anything of it is used, for it is not trusted."""

from __future__ import annotations

import graphlib
import hashlib
import json
import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from modelkin.errors import ModelkinError
from modelkin.operations import verify
from modelkin.store import disk, facts_schema, manifests
from modelkin.store.paths import RESULTS
from modelkin.study import untrusted
from modelkin.study.config import Study
from modelkin.study.yaml_text import LoaderWithoutAliases, read_yaml

FORMAT = 1
CONFIG, LISTED, CRATE = "config.yaml", "bundle.json", "ro-crate-metadata.json"
BESIDE = {
    CONFIG: "the config of the study",
    LISTED: "sha256 and size of every file, what was left out, and the versions of the software",
}
READABLE = 2**26  # bytes; config, list and manifests are read into memory
LARGEST_CONFIG = 2**19  # bytes, some 2,000 models; YAML takes ten seconds for them
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Bundle:
    """A bundle that was found to be sound: its list, its config and the digests of its files.

    In its config, entries that would run code or reach out are marked as untrusted. Nothing has been
    written. Raises ModelkinError, and leaves everything as it is, if it cannot be trusted.
    """

    def __init__(self, path: str | Path):
        self.path = Path(disk.check_file(path, "the bundle"))
        try:
            self._archive = zipfile.ZipFile(self.path)
            self._infos = _checked_members(self.path, self._archive.infolist())
            self.listed = _checked_list(self._json(LISTED), self._infos)
            self.name: str = self.listed["study"]
            self._check_digests()
            self.config = untrusted.marked_untrusted(self._config())
            self.content = self._content()
            self.manifests = verify.manifests(self.content)
            self._check_artifacts()
            self.study = self._valid_study()
        except (zipfile.BadZipFile, EOFError, NotImplementedError, UnicodeDecodeError, OSError) as error:
            raise ModelkinError(
                f"{path} is damaged or not a bundle ({str(error):.200}); ask for it again."
            ) from None

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

    def _config(self) -> dict[str, Any]:
        try:
            return parse_config(self._text(CONFIG), self.name)
        except ModelkinError as error:
            raise self._refused(str(error)) from None

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
        findings, left_out = verify.check_integrity(self.content)
        if findings:
            raise self._refused(f"{findings[0].path} is {findings[0].state} ({findings[0].why})")
        if sorted(left_out) != self.left_out:
            raise self._refused("what it says was left out is not what is missing")
        for name, made in self.manifests.items():
            lacking = [source for source in verify.inputs(name, made) if source not in self.manifests]
            if lacking:
                raise self._refused(f"{lacking[0]}, of which {name} was made, is not in it")
            for source, identity in verify.inputs(name, made, of="manifests").items():
                if source not in self.manifests or identity != manifests.identity(self.manifests[source]):
                    raise self._refused(f"{source} is not the manifest that {name} was made beside")
        try:
            graphlib.TopologicalSorter(
                {name: list(verify.inputs(name, made)) for name, made in self.manifests.items()}
            ).prepare()
        except graphlib.CycleError:
            raise self._refused("some of its artifacts were made of themselves") from None
        for name, made in self.manifests.items():
            if why := facts_schema.why_wrong(made["stage"], made["facts"]):
                raise self._refused(f"the facts of {name} are not those of its stage: {why}")

    def _valid_study(self) -> Study:
        try:
            return Study(
                self.config, made=lambda path: self.manifests.get(path.removeprefix(f"{self.name}/"))
            )
        except ModelkinError as error:
            raise self._refused(f"its config is not valid: {str(error).rstrip('.')}") from None
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
            # Facts of a stranger's manifests may be of any type.
            raise self._refused(
                f"its config and its manifests do not go together ({type(error).__name__})"
            ) from None


def parse_config(text: str, study: str) -> dict[str, Any]:
    """The config of a bundle's study; ModelkinError, of half a sentence, if no bundle may hold it."""
    if len(text.encode()) > LARGEST_CONFIG:
        raise ModelkinError(f"{CONFIG} is too large, of more than {LARGEST_CONFIG // 2**10} KB")
    try:
        found = read_yaml(text, LoaderWithoutAliases)
    except yaml.YAMLError as error:
        raise ModelkinError(f"{CONFIG} is no usable YAML ({' '.join(str(error).split()):.200})") from None
    if not isinstance(found, dict) or found.get("study") != study:
        raise ModelkinError(f"{CONFIG} is not the config of the study '{study}'")
    return found


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
    # A folder's name ends in a slash, which no path of a file does.
    if name.startswith("/") or ".." in parts or PurePosixPath(name).as_posix() != name:
        return "leads out of the bundle"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
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
