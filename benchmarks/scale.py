"""A study of hundreds of models that nobody trains: what planning, the last shell, tables and figures cost.

``python -m benchmarks.scale 300 [folder]``. Two small networks are trained, and every other model is one of
them under another name, with similarities drawn around planted clusters. All that follows from similarities
is then made by the workflow itself; ``folder`` keeps the study. docs/scale.md says what follows.
"""

from __future__ import annotations

import itertools
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

from benchmarks.base import Row
from benchmarks.workflow import ROOT, spent
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.pairs import completed_pairs
from modelkin.comparison.similarity import similarity_rows
from modelkin.store import arrays, frames, manifests, paths

MEASURES = ("linear_cka", "procrustes", "knn_jaccard-k10", "agreement", "jensen_shannon")
CLUSTERS, LEVELS = 6, (0.0, 0.5, 1.0)
SAMPLES, FEATURES, CLASSES = 500, 64, 10
TEMPLATES = ("vgg", "mlp")
ABOUT = ("stage", "version", "settings")  # of a manifest
# A study whose jobs are as many as a study of all kinds of probe has, and as quick as they can be.
SETTINGS: dict[str, Any] = {
    "study": "many",
    "device": "cpu",
    "dataset": {"name": "digits", "size": 8, "test": 100},
    "training": {"epochs": 1, "width": 4, "representation": 16},
    "evaluation": {"steps": 1},
    "probes": {"natural": 100, "inverted": 20},
    "inversion": {"steps": 2},
    "measures": [{"name": "knn_jaccard", "k": 10} if "knn" in name else name for name in MEASURES],
}


def config_of(models: int) -> dict[str, Any]:
    """The config of a study of so many models, of two architectures and three levels."""
    listed = [
        {
            "name": f"{TEMPLATES[i % 2]}-{i}",
            "source": "train",
            "architecture": TEMPLATES[i % 2],
            "eps": LEVELS[i % len(LEVELS)],
        }
        for i in range(models)
    ]
    return SETTINGS | {"models": listed}


def snakemake(folder: Path, *arguments: str) -> str:
    """What it prints; CalledProcessError with that if it fails."""
    where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile", "study.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *where, *arguments], cwd=folder, text=True, capture_output=True
    )
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-3000:])
    return done.stdout


def write_config(folder: Path, models: int) -> list[str]:
    config = config_of(models)
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    return [model["name"] for model in config["models"]]


def planning(models: int) -> list[Row]:
    """A dry run in an empty folder: seconds, memory and jobs, and how many jobs a further model adds."""
    jobs = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (models + 1, models):
            write_config(folder, count)
            start = time.perf_counter()
            said = snakemake(folder, "--dry-run", "--quiet", "rules")
            seconds = time.perf_counter() - start
            jobs[count] = int(re.search(r"^total +(\d+)", said, re.MULTILINE)[1])  # type: ignore[index]
        held = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    return [
        Row(f"dry run of {models} models", "seconds", seconds, 20, "s"),
        Row(f"dry run of {models} models", "memory", held, 1.5, "GB"),
        Row(f"jobs of {models} models", "jobs", jobs[models], 7 * models, "jobs"),
        Row(f"jobs of one model more than {models}", "jobs", jobs[models + 1] - jobs[models], 10, "jobs"),
    ]


def last_shell(models: int) -> None:
    """Every pair that the last of so many models completes, on natural and inverted probes, small arrays."""
    names = [f"m{i}" for i in range(models)]
    rng = np.random.default_rng(0)
    ids = np.arange(SAMPLES).astype(str)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(4):
            made = xr.Dataset(
                {
                    "representation": (("sample", "feature"), rng.normal(size=(SAMPLES, FEATURES))),
                    "logits": (("sample", "class"), rng.normal(size=(SAMPLES, CLASSES))),
                },
                coords={"sample": arrays.sample_coordinate(ids)},
            ).astype(np.float32)
            arrays.write(made, Path(folder) / f"{number}.zarr")

        def read(run, what):
            return arrays.open_dataset(Path(folder) / f"{names.index(run.observer) % 4}.zarr")[what]

        wanted = list(completed_pairs(names[-1], names[:-1], "made up", ("natural", "inverted")))
        measures = [ConfiguredMeasure.of(name) for name in MEASURES]
        rows = similarity_rows(wanted, read, measures, permutations=1, seed=0)
        assert len(rows) == len(MEASURES) * (3 * models - 1)


def streaming(models: int) -> list[Row]:
    """How much more the last shell of many models holds than that of four."""
    held = []
    for count in (4, models):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", "shell", str(count)],
            **{"check": True, "capture_output": True, "text": True},
        )
        held.append(float(done.stdout))
    return [Row(f"last shell of {models} models, beyond that of 4", "memory", held[1] - held[0], 0.5, "GB")]


def simulate(folder: Path, models: int) -> None:
    """Every artifact from which tables are made, of so many models, in a folder in which two were made."""
    names, results = write_config(folder, models), folder / "results" / "many"
    rng = np.random.default_rng(0)
    for i, name in enumerate(names[2:], start=2):
        _copy_of(results, names[i % 2], name, weights=f"{i:064x}", accuracy=rng.uniform(0.5, 1))
        _activations(results, names[0], name, rng)
    for end in range(3, models + 1):
        _shell(results, names[1], names[:end], rng)


def _copy_of(results: Path, template: str, name: str, *, weights: str, accuracy: float) -> None:
    """A model, its card and its inverted probe, as another's but for its name, weights and accuracy."""
    for stage, facts in (("models", {"weights": weights}), ("probes/inverted", {})):
        made = manifests.read(results / stage / f"{template}.json")
        store = (results / stage / template).with_suffix(made["suffix"])
        manifests.write(
            results / stage / f"{name}.json",
            lambda to, store=store: shutil.copytree(store, to),
            **({key: made[key] for key in (*ABOUT, "suffix")} | {"facts": made["facts"] | facts}),
        )
    made = manifests.read(results / paths.card(template))
    card = frames.read(results / paths.card(template))
    card = card.assign(weights=weights, clean_accuracy=accuracy, at_chance=False)
    frames.write(results / paths.card(name), card, **{key: made[key] for key in ABOUT})


def _activations(results: Path, template: str, name: str, rng: np.random.Generator) -> None:
    """Natural activations whose logits are mostly right, each model with errors of its own; of inverted ones
    only that they are there is looked at."""
    path = results / "activations" / "natural"
    made = manifests.read(path / f"{template}.json")
    like = arrays.open_dataset(path / f"{template}.zarr").load()
    logits = rng.normal(size=like["logits"].shape) + 2.5 * np.eye(CLASSES)[like["label"].to_numpy()]
    data = like.assign(logits=(like["logits"].dims, logits.astype(np.float32)))
    for kind in ("natural", "inverted"):
        about = {key: made[key] for key in ABOUT}
        manifests.write(results / paths.activations(kind, name), lambda to: arrays.write(data, to), **about)


def _shell(results: Path, template: str, names: list[str], rng: np.random.Generator) -> None:
    """Similarities of the last of some models around planted clusters, by five measures."""
    made = manifests.read(results / paths.similarity(template))
    group = {model: i % CLUSTERS for i, model in enumerate(names)}
    pairs = pd.DataFrame(completed_pairs(names[-1], names[:-1], "digits", made["settings"]["kinds"]))
    same = pairs["model_a"].map(group).eq(pairs["model_b"].map(group))
    itself = pairs["model_a"].eq(pairs["model_b"])
    rows = []
    for label in MEASURES:
        alike = np.where(same, 0.8, 0.5) - 0.2 * pairs["kind"].eq("inverted")
        value = np.where(itself, 1.0, np.clip(alike + rng.normal(0, 0.05, len(pairs)), 0, 1))
        error = np.where(itself, 0.0, 0.02)
        ends = {"ci_low": value - 2 * error, "ci_high": value + 2 * error, "chance": 0.05}
        rows.append(pairs.assign(n=100, measure=label, value=value, stderr=error, **ends))
    about = {key: made[key] for key in ABOUT} | {"settings": made["settings"] | {"models": names}}
    frames.write(results / paths.similarity(names[-1]), pd.concat(rows, ignore_index=True), **about)


def following(models: int, folder: Path) -> list[Row]:
    """Tables, figures and explorer of the simulated study, made by the workflow."""
    write_config(folder, 2)
    snakemake(folder, "--cores", "2", "--quiet", "--until", "similarity", "evaluate")
    simulate(folder, models)
    start = time.perf_counter()
    snakemake(folder, "--cores", "2", "--quiet")
    seconds = time.perf_counter() - start
    explorer = folder / "results" / "many" / "explorer.html"
    found = spent(folder / "results" / "many" / "logs")
    found = found[~found["job"].str.contains("/(?:vgg|mlp)-")]  # those were made before
    print(found.sort_values("cpu", ascending=False).head(12).to_string(index=False))
    largest = found.loc[found["gigabytes"].idxmax()]
    return [
        Row(f"tables, figures and explorer of {models} models", "seconds", seconds, 600, "s"),
        Row(f"the largest of their jobs, {largest['job']}", "memory", largest["gigabytes"], 4, "GB"),
        Row(f"the explorer of {models} models", "disk", explorer.stat().st_size / 1e9, 0.05, "GB"),
    ]


def rows(models: int = 300, folder: Path | None = None) -> list[Row]:
    found = [*planning(models), *streaming(models)]
    if folder is not None:
        return [*found, *following(models, folder)]
    with tempfile.TemporaryDirectory() as name:
        return [*found, *following(models, Path(name))]


if __name__ == "__main__":
    if sys.argv[1] == "shell":
        last_shell(int(sys.argv[2]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)
    else:
        from benchmarks.__main__ import written

        place = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
        if place:
            place.mkdir(parents=True)
        for row in itertools.chain(rows(int(sys.argv[1]), place)):
            print(written(row), flush=True)
