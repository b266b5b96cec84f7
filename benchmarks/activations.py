"""Computing and storing a model's activations against nothing but its forward passes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.base import Row, in_turn
from benchmarks.networks import benchmark_classifier
from modelkin import batching
from modelkin.comparison.activations import activation_chunks
from modelkin.data.images import Images
from modelkin.store import arrays

SAMPLES = 1000


def stored(name: str) -> Row:
    model = benchmark_classifier(name)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (SAMPLES, 3, model.size, model.size), dtype=np.uint8)
    ids = np.array([f"s{i}" for i in range(SAMPLES)])
    whole = Images(pixels, np.zeros(SAMPLES, np.int64), ids, ["a", "b"])
    batches = torch.from_numpy(whole.floats()).split(batching.batch_rows(model.size))
    with tempfile.TemporaryDirectory() as folder:
        arrays.write_chunks((part.to_dataset() for part in whole.chunks()), Path(folder) / "probe.zarr")
        probe, number = Images.from_dataset(arrays.open_dataset(Path(folder) / "probe.zarr")), iter(range(99))

        def ours():
            arrays.write_chunks(activation_chunks(model, probe), Path(folder) / f"{next(number)}.zarr")

        def bare():
            with torch.no_grad():
                for x in batches:
                    model(x)

        taken, alone = in_turn(ours, bare)
        found = arrays.open_dataset(Path(folder) / "0.zarr")["logits"].to_numpy()
    with torch.no_grad():
        error = float(np.abs(found - torch.cat([model(x) for x in batches]).numpy()).max())
    return Row(
        f"activations read, computed and stored, {name}",
        "bare forward over tensors in memory",
        taken / alone,
        1.15,
        "x the time",
        checked=f"logits differ by {error:.0e}",
    )


def rows() -> list[Row]:
    return [stored(name) for name in ("ResNet-18, 64 px", "CIFAR ResNet-20")]
