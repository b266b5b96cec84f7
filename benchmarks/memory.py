"""How much memory a large job holds at its largest: each runs in a process of its own, on made-up arrays.

``python -m benchmarks.memory similarity`` is such a process.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from benchmarks.base import Row
from modelkin.comparison.activations import saliency_chunks
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.pairs import completed_pairs
from modelkin.comparison.similarity import similarity_rows
from modelkin.data.images import Images
from modelkin.networks import classifier
from modelkin.store import arrays

SAMPLES, FEATURES, MODELS = 10_000, 2048, 4
IMAGES, PIXELS = 1000, 224


def similarity() -> None:
    """The last shell of a study by five measures; however many models there are, three are held at a time."""

    names = [f"m{number}" for number in range(MODELS)]
    labels = ("linear_cka", "debiased_cka", "procrustes", "knn_jaccard", "agreement")
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate(names):
            arrays.write_chunks(_activations(seed), Path(folder) / f"{name}.zarr")

        def read(run, what):
            return arrays.open_dataset(Path(folder) / f"{run.observer}.zarr")[what]

        wanted = list(completed_pairs(names[-1], names[:-1], "made up", ("natural",)))
        similarity_rows(
            wanted, read, [ConfiguredMeasure.of(label) for label in labels], permutations=1, seed=0
        )


def _activations(seed: int):
    """Some rows at a time, as a job writes them."""
    rng = np.random.default_rng(seed)
    for start in range(0, SAMPLES, 1000):
        yield xr.Dataset(
            {
                "representation": (
                    ("sample", "feature"),
                    rng.normal(size=(1000, FEATURES)).astype(np.float32),
                ),
                "logits": (("sample", "class"), rng.normal(size=(1000, 1000)).astype(np.float32)),
            },
            coords={"sample": np.arange(start, start + 1000).astype("<U8")},
        )


def saliency() -> None:
    """Maps of a ResNet-18 on 224-pixel images, kept in 8 bits and written as they come."""
    import torchvision

    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 3, PIXELS, PIXELS), np.uint8)
    classes = [str(number) for number in range(1000)]
    whole = Images(pixels, np.arange(IMAGES) % 1000, np.arange(IMAGES).astype(str), classes)
    model = classifier.frozen(
        classifier.Classifier(torchvision.models.resnet18(), "fc", [0.5] * 3, [0.25] * 3, PIXELS)
    )
    with tempfile.TemporaryDirectory() as folder:
        arrays.write_chunks(saliency_chunks(model, whole), Path(folder) / "maps.zarr")


def rows_of_similarity() -> list[Row]:
    return [
        Row(f"similarity of {SAMPLES} x {FEATURES}, five measures", "memory", largest("similarity"), 3, "GB"),
        Row(f"saliency of {IMAGES} images of {PIXELS} pixels", "memory", largest("saliency"), 3, "GB"),
    ]


def largest(job: str) -> float:
    """Gigabytes that the job's process held at its largest."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", job], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    {"similarity": similarity, "saliency": saliency}[sys.argv[1]]()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)
