"""Inversion against the robustness library's attacker, and against nothing but the model's own passes."""

from __future__ import annotations

import copy
import time
import types

import numpy as np
import torch
from torch import nn

from benchmarks.base import Row, in_turn, seconds
from benchmarks.networks import NETWORKS, benchmark_classifier
from modelkin.data import datasets
from modelkin.networks.classifier import Classifier
from modelkin.networks.sources.robustness import lend_missing_module
from modelkin.optimise import inversion
from modelkin.optimise.descent import Descent
from modelkin.optimise.steps import Momentum
from modelkin.training import fit

STEPS, STEP, BATCH = 8, 1 / 8, 32


class Latent(nn.Module):
    """A classifier in the form that the library takes: with_latent gives the representation too."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.network, self.kept = model.network, None
        head = self.network.get_submodule(model.head)
        head.register_forward_pre_hook(lambda module, inputs: setattr(self, "kept", inputs[0]))

    def forward(self, x, with_latent=False):
        logits = self.network(x)
        return (logits, self.kept.flatten(1)) if with_latent else logits


class Normalise(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(self, x):
        return (x - self.mean) / self.std


def attacker(model: Classifier, fake_cuda: bool = True):
    """The library's attacker for a model; it asks for CUDA, even on a CPU, and for a module that is gone."""
    lend_missing_module()
    if fake_cuda:
        torch.Tensor.cuda = lambda self, *args, **keywords: self
    from robustness.attacker import Attacker

    mean, std = (value.flatten() for value in (model.mean, model.std))
    whole = Attacker(Latent(copy.deepcopy(model)), types.SimpleNamespace(mean=mean, std=std))
    # Its own normalisation clamps once more, where this torch gives pixels at a bound no gradient.
    whole.normalize = Normalise(model.mean, model.std)
    return whole.to(model.mean.dtype).eval()


def library(attack, seeds, wanted, steps: int):
    """Inversions by the library: normalised-gradient steps, the best iterate kept, no momentum."""

    def loss(model, x, target):
        _, latent = model(x, with_latent=True)
        return (latent - target).norm(dim=1) / target.norm(dim=1), None

    return attack(
        seeds,
        wanted,
        constraint="2",
        eps=1000,
        step_size=STEP,
        iterations=steps,
        targeted=True,
        do_tqdm=False,
        custom_loss=loss,
        use_best=True,
    )


def pairs(model: Classifier, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    shape = model.blank(BATCH).shape
    return (torch.rand(shape, generator=generator).to(dtype) for _ in range(2))


def same_steps(name: str) -> float:
    """The largest difference of any pixel after five steps in float64."""
    model = benchmark_classifier(name).double()
    seeds, targets = pairs(model, torch.float64)
    theirs = library(attacker(model), seeds, model.representation(targets), 5)
    ours = inversion.invert(model.folded().double(), seeds, targets, Descent(5, Momentum(STEP)))
    return float((ours.images - theirs).abs().max())


def equal_settings(name: str) -> Row:
    model = benchmark_classifier(name)
    seeds, targets = pairs(model)
    attack, wanted, fast = attacker(model), model.representation(targets), model.folded()
    descent = Descent(STEPS, Momentum(STEP))
    ours, theirs = in_turn(
        lambda: inversion.invert(fast, seeds, targets, descent),
        lambda: library(attack, seeds, wanted, STEPS),
        repeats=3,
    )
    alone = seconds(lambda: bare(fast, seeds))
    return Row(
        f"inversion, steps per second, {name}",
        "robustness library's attacker, equal settings",
        theirs / ours,
        1.8,
        checked=f"five float64 steps differ by {same_steps(name):.0e}",
        limit=f"the model's own passes, alone, would be {theirs / alone:.2f} x as fast",
    )


def bare(model, seeds) -> None:
    """The passes of an inversion and nothing else: the targets', the first look's and every step's."""
    with torch.no_grad():
        model.representation(seeds)
    for _ in range(STEPS + 1):
        x = seeds.clone().requires_grad_(True)
        torch.autograd.grad(model.representation(x).sum(), x)


def one_step(name: str) -> Row:
    model = benchmark_classifier(name).folded()
    seeds, targets = pairs(model)
    descent = Descent(STEPS, Momentum(STEP, decay=0.9))
    ours, bare_seconds = in_turn(
        lambda: inversion.invert(model, seeds, targets, descent), lambda: bare(model, seeds), repeats=5
    )
    return Row(
        f"one inversion step, {name}",
        "bare forward and gradient",
        ours / bare_seconds,
        1.10,
        "x the time",
    )


def trained() -> tuple[Classifier, torch.Tensor, torch.Tensor]:
    """A residual network trained on digits, and pairs of different classes from its test images."""
    digits = datasets.load("digits", size=16)
    settings = {
        **{"architecture": "residual", "recipe": "standard", "eps": 0.0, "width": 8, "representation": 48},
        **{"epochs": 4, "batch_size": 64, "learning_rate": 6e-3, "weight_decay": 1e-4},
    }
    model, _ = fit.train(digits["train"], digits["test"], settings, seed=0)
    x, y = digits["test"].floats(), digits["test"].labels
    rows = np.arange(128)
    others = np.array([next(r for r in range(row + 1, len(y)) if y[r] != y[row]) for row in rows])
    return model, torch.from_numpy(x[rows]), torch.from_numpy(x[others])


def until(run, target: float, most: int = 2048) -> tuple[int, float]:
    """The fewest steps, within 6 %, with which a run's median loss is below target, and its seconds."""
    low, high, best = 1, 8, None
    while best is None or high > 1.06 * low + 1:
        steps = high if best is None else (low + high) // 2
        start = time.perf_counter()
        loss = run(steps)
        taken = time.perf_counter() - start
        if loss <= target:
            high, best = steps, taken
        else:
            low = steps
            high = min(most, 2 * steps) if best is None else high
            if steps == most:
                raise RuntimeError(f"a median loss of {target} was not reached in {steps} steps")
    return high, best


def to_a_residual() -> list[Row]:
    model, seeds, targets = trained()
    attack, wanted = attacker(model), model.representation(targets)
    fast = model.folded()

    def median(images):
        offset = model.representation(images) - wanted
        return float((offset.norm(dim=1) / wanted.norm(dim=1)).median())

    final = median(library(attack, seeds, wanted, 2000))
    rows = []
    for target, name in ((0.05, "0.05"), (final, f"the library's after 2,000 steps, {final:.3f}")):
        their_steps, theirs = until(lambda n: median(library(attack, seeds, wanted, n)), target)

        def ours(finish_below, target=target):
            def run(n):
                descent = inversion.fast(n, finish_below=finish_below, stop_below=target)
                return median(inversion.invert(fast, seeds, targets, descent).images)

            return until(run, target)

        steps, taken = ours(0.05)
        at_once_steps, at_once = ours(float("inf"))
        rows.append(
            Row(
                f"inversion to a median loss of {name}, fast mode",
                "robustness library, published step",
                theirs / taken,
                5,
                checked=f"{steps} steps of ours, {their_steps} of theirs",
                limit="down to 0.05 the steps are the published ones, for these decide which image is found; "
                f"quasi-Newton from the start: {theirs / at_once:.2f} x, {at_once_steps} steps",
            )
        )
    return rows


def rows() -> list[Row]:
    return [
        *(equal_settings(name) for name in NETWORKS),
        *(one_step(name) for name in NETWORKS),
        *to_a_residual(),
    ]
