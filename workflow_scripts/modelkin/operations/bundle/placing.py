"""A study put into its place, from a bundle or made of two, and known to Snakemake from there on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.operations import verify
from modelkin.operations.bundle.opening import Bundle
from modelkin.operations.workflow_file import workflow_file
from modelkin.store import disk
from modelkin.store.paths import RESULTS, is_similarity_part
from modelkin.study.yaml_text import write_yaml

NOT_FOR_STUDIES = {"config"}  # whose config would be the file of the default study


def unpack(path: str | Path, folder: str | Path = ".") -> Bundle:
    """Check a bundle, and write its study below ``folder/results`` and its config as ``folder/<study>.yaml``.

    Entries of the config that would run code or reach out are marked as untrusted. Raises ModelkinError,
    and leaves nothing behind, if the bundle is not sound or does not fit this version, or if one of the
    two is there.
    """
    bundle = Bundle(path)
    folder = Path(folder)
    check_new(folder, bundle.name)
    _check_room(folder, sum(said["bytes"] for said in bundle.listed["files"].values()))
    with tempfile.TemporaryDirectory(prefix=f".{bundle.name}.", suffix=".partial", dir=folder) as aside:
        place(Path(aside), bundle.name, bundle.config, bundle.extract)
        wrong = [each for each in findings(Path(aside), bundle.name) if each.state != "missing"]
        if wrong:
            raise ModelkinError(
                f"the bundle {path} is refused: {wrong[0].path} is {wrong[0].state} ({wrong[0].why}), one of "
                f"{len(wrong)} findings; nothing was written."
            )
        new_results = not (folder / RESULTS).exists()
        _move(Path(aside), folder, bundle.name)
    with removed_on_failure(folder, bundle.name, with_results=new_results):
        record(folder, bundle.name, bundle.manifests)
    return bundle


@contextlib.contextmanager
def removed_on_failure(folder: Path, study: str, with_results: bool) -> Iterator[None]:
    """Take away a study that was placed, and its config, if what follows fails or is interrupted.

    with_results: the folder of all results too, which was not there before.
    """
    try:
        yield
    except BaseException:
        shutil.rmtree(folder / RESULTS / study)
        (folder / f"{study}.yaml").unlink()
        if with_results:
            (folder / RESULTS).rmdir()
        raise


def _move(aside: Path, folder: Path, study: str) -> None:
    """Put a study and its config where they belong; neither is there yet."""
    (folder / RESULTS).mkdir(exist_ok=True)
    os.rename(aside / RESULTS / study, folder / RESULTS / study)
    os.rename(aside / f"{study}.yaml", folder / f"{study}.yaml")


def check_new(folder: Path, study: str) -> None:
    """ModelkinError if a study or config of that name is there, if the name is of something else, or if there
    is no workflow to go on with.
    """
    workflow_file()
    if study.casefold() in NOT_FOR_STUDIES:
        raise ModelkinError(
            f"a study cannot be called '{study}', as another file here is; nothing was written. Ask for a "
            "bundle of another name."
        )
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
    disk.check_writable(final)
    temporary = final.with_name(f".{study}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        fill(temporary)
        (folder / f"{study}.yaml").write_text(write_yaml(dict(config)))
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
    targets = [f"{RESULTS}/{study}/{name}" for name in manifests if not is_similarity_part(name)]
    touched = _snakemake(folder, study, "--touch", "--forceall", *targets)
    if touched.returncode:
        raise _not_recorded(study, touched.stdout)


def _not_recorded(study: str, said: str) -> ModelkinError:
    return ModelkinError(f"Snakemake cannot go on with the study '{study}': {' '.join(said.split())[-500:]}")


def _snakemake(folder: Path, study: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(workflow_file()),
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
