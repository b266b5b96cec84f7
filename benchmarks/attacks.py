"""PGD against torchattacks, and what its images take on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
import torchattacks

from benchmarks.base import Row, in_turn
from benchmarks.networks import benchmark_classifier
from modelkin.data.images import Images
from modelkin.optimise import attacks
from modelkin.optimise.adversarial_probe import attack_parts, probe_facts
from modelkin.optimise.attacks import from_settings
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent
from modelkin.store.arrays import write_chunks

STEPS = 10
NORMS = {"linf": (8 / 255, 2 / 255), "l2": (0.5, 0.125)}
# Seeded weights of this network name one class for nearly everything, so it takes more to move them.
STRONGER = {"CIFAR ResNet-20": 6, "ResNet-18, 32 px": 0.5}


def against_torchattacks(name: str, norm: str) -> Row:
    model = benchmark_classifier(name)
    fast = model.folded()
    x = torch.rand(model.blank(64).shape, generator=torch.Generator().manual_seed(1))
    y = model(x).argmax(1)
    radius, step = (STRONGER[name] * value for value in NORMS[norm])
    kinds = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}
    peer = kinds[norm](model, eps=radius, alpha=step, steps=STEPS, random_start=False)
    descent = pgd_descent(norm, radius, STEPS, step)
    ours, theirs = in_turn(lambda: untargeted(fast, x, y, descent), lambda: peer(x, y), repeats=3)
    found = [
        float((model(images).argmax(1) != y).float().mean())
        for images in (untargeted(fast, x, y, descent), peer(x, y))
    ]
    return Row(
        f"PGD {norm}, {STEPS} steps, {name}",
        "torchattacks",
        theirs / ours,
        1.3,
        limit="both make one forward and one backward pass a step; folding and frozen weights are gained",
        checked=f"success {found[0]:.3f} and {found[1]:.3f}",
    )


def stored(images: int = 16) -> Row:
    """The disk that 5,000 attacked images of 224 pixels take, on the worst of images, which is noise."""
    model = benchmark_classifier("ResNet-18, 64 px").folded()
    model.size = 224
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 3, 224, 224), dtype=np.uint8)
    with torch.no_grad():
        y = model(torch.from_numpy(pixels / np.float32(255))).argmax(1).numpy()
    probe = Images(pixels, y, np.array([f"{i}" for i in range(images)]), [f"{i}" for i in range(y.max() + 1)])
    attack = from_settings("pgd", "linf", 8 / 255, **{**attacks.defaults()["pgd"], "steps": STEPS})
    made = [attacked() for attacked in attack_parts(model, probe, lambda part: attack, norm="linf")]
    found = probe_facts(made)
    with tempfile.TemporaryDirectory() as folder:
        write_chunks(made, Path(folder, "probe.zarr"))
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return Row(
        "5,000 adversarial images of 224 pixels, stored",
        "disk",
        size * 5000 / images / 1e9,
        1.6,
        unit="GB",
        checked=f"{images} images of noise; success {found['success']:.2f}, lost by storing: {found['lost']}",
    )


def rows() -> list[Row]:
    names = ("CIFAR ResNet-20", "ResNet-18, 32 px")
    return [*(against_torchattacks(name, norm) for name in names for norm in NORMS), stored()]
