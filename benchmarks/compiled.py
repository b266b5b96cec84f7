"""Whether ``torch.compile`` would pay: passes of an inversion step, eager and compiled, and what that costs.

It is not part of what ``make bench`` runs: compiling takes minutes, and docs/modes.md has the answer.
"""

from __future__ import annotations

import time

import torch

from benchmarks.base import Row, in_turn
from benchmarks.networks import NETWORKS, benchmark_classifier

IMAGES, LEAST = 32, 1.25


def gradient(model, images: torch.Tensor) -> torch.Tensor:
    images = images.clone().requires_grad_(True)
    return torch.autograd.grad(model(images).square().sum(), images)[0]


def compiled(name: str) -> Row:
    model = benchmark_classifier(name).folded().representation
    torch.compiler.reset()
    fast = torch.compile(model, dynamic=False)
    images = torch.rand(IMAGES, 3, NETWORKS[name][1], NETWORKS[name][1])
    start = time.perf_counter()
    found, wanted = gradient(fast, images), gradient(model, images)
    cost = time.perf_counter() - start
    eager, quick = in_turn(lambda: gradient(model, images), lambda: gradient(fast, images), repeats=9)
    apart = ((found - wanted).norm() / wanted.norm()).item()
    steps = cost / (eager - quick) if quick < eager else float("inf")
    return Row(
        f"compiled passes of an inversion step, {name}",
        "eager passes",
        eager / quick,
        LEAST,
        checked=f"gradients differ by {apart:.0e}; compiling takes {cost:.0f} s",
        limit=f"it would pay after {IMAGES * steps:,.0f} images x steps" if steps < 1e9 else "it never pays",
    )


def rows() -> list[Row]:
    return [compiled(name) for name in NETWORKS]
