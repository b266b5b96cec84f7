"""PGD against torchattacks."""

from __future__ import annotations

import torch
import torchattacks

from benchmarks.base import Row, in_turn
from benchmarks.networks import classifier
from modelkin import attacks

STEPS = 10
NORMS = {"linf": (8 / 255, 2 / 255), "l2": (0.5, 0.125)}
# Seeded weights of this network name one class for nearly everything, so it takes more to move them.
STRONGER = {"CIFAR ResNet-20": 6, "ResNet-18, 32 px": 0.5}


def against_torchattacks(name: str, norm: str) -> Row:
    model = classifier(name)
    fast = model.folded()
    x = torch.rand(model.blank(64).shape, generator=torch.Generator().manual_seed(1))
    y = model(x).argmax(1)
    radius, step = (STRONGER[name] * value for value in NORMS[norm])
    kinds = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}
    peer = kinds[norm](model, eps=radius, alpha=step, steps=STEPS, random_start=False)
    descent = attacks.pgd(norm, radius, STEPS, step)
    ours, theirs = in_turn(lambda: attacks.untargeted(fast, x, y, descent), lambda: peer(x, y), repeats=3)
    found = [
        float((model(images).argmax(1) != y).float().mean())
        for images in (attacks.untargeted(fast, x, y, descent), peer(x, y))
    ]
    return Row(
        f"PGD {norm}, {STEPS} steps, {name}",
        "torchattacks",
        theirs / ours,
        1.3,
        limit="both make one forward and one backward pass a step; folding and frozen weights are gained",
        checked=f"success {found[0]:.3f} and {found[1]:.3f}",
    )


def rows() -> list[Row]:
    return [
        against_torchattacks(name, norm) for name in ("CIFAR ResNet-20", "ResNet-18, 32 px") for norm in NORMS
    ]
