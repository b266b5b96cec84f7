"""A tiny study that the workflow tests share, and how they run Snakemake on it."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from modelkin.jobs import gpus
from modelkin.store import manifests

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
os.environ.setdefault("MODELKIN_SNAKEFILE", str(ROOT / "Snakefile"))  # tests unpack elsewhere
UUIDS = ["GPU-aa11", "GPU-ab22", "GPU-bb33"]
TINY = {
    "study": "tiny",
    "device": "cpu",
    "dataset": {"name": "digits", "size": 8, "test": 100},
    "models": [
        {"name": "vgg-0", "source": "train", "architecture": "vgg"},
        {"name": "mlp-0", "source": "train", "architecture": "mlp"},
        {"name": "vgg-0.5", "source": "train", "architecture": "vgg", "eps": 0.5},
        {"name": "mlp-0.5", "source": "train", "architecture": "mlp", "eps": 0.5},
    ],
    "training": {"epochs": 2, "width": 4, "representation": 16},
    "evaluation": {"steps": 2},
    "probes": {"natural": 60, "inverted": 40},
    "inversion": {"steps": 20, "step_size": 0.4, "schedule": "cosine"},
    "adversarial": {"radius": 0.2, "steps": 5},
    "measures": [
        *("linear_cka", "agreement", "saliency_cosine", "sat"),
        *("decision_regions", "boundary_distance"),
    ],
    "boundaries": {"triplets": 6, "grid": 5, "samples": 20, "steps": 4},
    "draws": {"repeats": 2},
    "clusters": {"repeats": 10},
    "ensembles": {"sizes": [2, 3], "draws": 5},
    "distillation": {"student": "mlp-0", "repeats": 1},
}
# With these a small network learns digits in seconds.
TRAINING = {
    "architecture": "vgg",
    "recipe": "standard",
    "eps": 0,
    "norm": "l2",
    "epochs": 6,
    "batch_size": 64,
    "learning_rate": 6e-3,
    "weight_decay": 1e-4,
    "attack_steps": 3,
    "attack_step": 2 / 3,
    "trades_beta": 6.0,
    "width": 4,
    "representation": 16,
}
# The rules that follow from a changed table, and those that follow from changed similarities.
OF_TABLES = {"tables", "clusters", "conclusions", "components", "ensembles", "distillation"}
OF_TABLES |= {"recommendations", "explorer"}
AFTER_TABLES = OF_TABLES | {"sat_shortcut", "draws"}
NEW_MODEL = {"name": "mixer-0", "source": "train", "architecture": "mixer"}


# Files of minutes, the longest first: begun last, one of them would leave the other process idle.
LONGEST = (
    "faults",
    "other_data",
    "other_tasks",
    "several_attacks",
    "sat",
    "layers",
    "runs",
    "disk",
    "verify",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark each test with the folder that it stands in: unit, workflow or cluster; long ones come first."""
    for item in items:
        item.add_marker(item.path.relative_to(ROOT / "tests").parts[0])
    place = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


class StudyFolder:
    """A folder with a config and its results, on which Snakemake is run as a user would."""

    def __init__(
        self,
        folder: Path,
        config: dict,
        configfile: str = "study.yaml",
        snakefile: Path = ROOT / "Snakefile",
    ):
        self.folder, self.config, self.configfile = folder, copy.deepcopy(config), configfile
        self.snakefile = snakefile
        self.results = folder / "results" / config["study"]

    def command(self, *arguments: str) -> list[str]:
        (self.folder / self.configfile).write_text(yaml.safe_dump(self.config, sort_keys=False))
        where = ["--snakefile", str(self.snakefile), "--directory", str(self.folder)]
        return [sys.executable, "-m", "snakemake", *where, "--configfile", self.configfile, *arguments]

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def make(self, *arguments: str) -> str:
        """Run to the end; the output."""
        done = self.run("--cores", "2", *arguments)
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def planned(self) -> dict[str, int]:
        """What a dry run would do: the number of jobs of each rule; what else it says is then in `said`."""
        done = self.run("--dry-run", "--quiet", "rules")
        self.said = done.stdout
        assert done.returncode == 0, done.stdout[-4000:]
        return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}

    def manifests(self) -> dict[str, Path]:
        """All manifests by their path below the results."""
        found = filter(is_manifest, self.results.rglob("*.json"))
        return {path.relative_to(self.results).as_posix(): path for path in found}

    def digests(self) -> dict[str, str]:
        return {name: json.loads(path.read_text())["digest"] for name, path in self.manifests().items()}

    def stamps(self) -> dict[str, tuple[bytes, int]]:
        """Content and mtime of every manifest."""
        return {name: (path.read_bytes(), path.stat().st_mtime_ns) for name, path in self.manifests().items()}

    def computed_on(self, device: str) -> None:
        """Let the manifests say that all that a device computes was computed on this one."""
        for path in self.manifests().values():
            made, status = json.loads(path.read_text()), path.stat()
            if "device" in made:
                made["device"] = device
                made[manifests.OWN] = manifests.own_digest(made)
                path.write_text(manifests.text_of(made))
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def copied(self, folder: Path) -> "StudyFolder":
        """The same study elsewhere, with times and Snakemake's own records."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return StudyFolder(folder, self.config)


@pytest.fixture
def three_gpus(tmp_path, monkeypatch) -> Path:
    """A machine with three GPUs and no batch system: the nvidia-smi that says so."""
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\nprintf '%s\\n' " + " ".join(UUIDS) + "\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    for key in (gpus.VISIBLE, *gpus.SCHEDULED):
        monkeypatch.setenv(key, "")  # so that what a claim writes there goes with the test
        monkeypatch.delenv(key)
    return command


def is_manifest(path: Path) -> bool:
    # zarr keeps JSON files of its own, a model its history, and the logs what was read from outside.
    return path.name not in {"zarr.json", "history.json", "outside.json"}


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id) -> StudyFolder:
    """The tiny study, run once, however many processes test. Tests that change it take a copy."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "tiny"
    study, whole = StudyFolder(folder, TINY), folder / "whole"
    with FileLock(folder.with_suffix(".lock")):
        if not whole.exists():
            folder.mkdir()
            study.make()
            whole.touch()
    return study


@pytest.fixture
def study(finished, tmp_path) -> StudyFolder:
    """A copy of the finished tiny study."""
    return finished.copied(tmp_path / "study")
