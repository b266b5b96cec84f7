"""Stitches at all blocks of two ResNet-20 in one pass, against block by block and against bare passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.base import Row, in_turn
from benchmarks.networks import benchmark_classifier
from modelkin.data.images import Images
from modelkin.stitching import matching
from modelkin.stitching.places import Place, cut_points, places
from modelkin.stitching.stitched import Halves, Stitch, halves, stitched_model
from modelkin.stitching.training import train_stitches
from modelkin.training.schedule import Schedule

BATCH, STEPS = 128, 2
SCHEDULE = Schedule(epochs=1, batch_size=BATCH, learning_rate=1e-3, weight_decay=1e-4, optimiser="adam")


def rows() -> Iterator[Row]:
    generator = np.random.default_rng(0)
    pixels = generator.random((BATCH * STEPS, 3, 32, 32), dtype=np.float32)
    labels = generator.integers(0, 10, len(pixels))
    images = Images(pixels, labels, np.arange(len(pixels)).astype(str), list("abcdefghij"))
    front, end = (halves(benchmark_classifier("CIFAR ResNet-20")) for _ in range(2))
    at = places(*(cut_points(half.graph, "blocks", "auto") for half in (front, end)))
    yield from training(front, end, at, images)
    yield from least_squares(front, end, at, images)


def training(front: Halves, end: Halves, at: Sequence[Place], images: Images) -> Iterator[Row]:
    """Plain training of all places together, against one after another and against its passes alone."""

    def trained(some: Sequence[Place]) -> list[Stitch]:
        made = []
        for place in some:
            torch.manual_seed(at.index(place))
            made.append(Stitch(front.layout(place.front), end.layout(place.end)))
        torch.manual_seed(1)
        return train_stitches(front, end, some, made, images, schedule=SCHEDULE).stitches

    def together() -> list[Stitch]:
        return trained(at)

    def alone() -> list[Stitch]:
        return [trained([place])[0] for place in at]

    apart = max(
        float((one.weight - other.weight).detach().abs().max())
        for one, other in zip(together(), alone(), strict=True)
    )
    ours, theirs = in_turn(together, alone, repeats=3)
    what = f"plain stitches at {len(at)} blocks of ResNet-20, one pass"
    yield Row(what, "block by block", theirs / ours, 1.4, checked=f"weights at most {apart:.0e} apart")

    made = [Stitch(front.layout(place.front), end.layout(place.end)) for place in at]
    ends = [
        stitched_model(front, place.front, stitch, end, place.end).network
        for place, stitch in zip(at, made, strict=True)
    ]
    batches = torch.from_numpy(images.floats()).split(BATCH)
    answers = torch.from_numpy(images.labels).split(BATCH)

    def bare() -> None:
        for x, y in zip(batches, answers, strict=True):
            found = matching.values_at(front, [place.front.name for place in at], x)
            for place, stitch, model in zip(at, made, ends, strict=True):
                logits = model.head(model.body(stitch(found[place.front.name].detach())))
                torch.autograd.grad(cross_entropy(logits, y), list(stitch.parameters()))

    ours, least = in_turn(together, bare, repeats=3)
    yield Row("the same, a training step", "its own forward and gradient", ours / least, 1.1, "x the time")


def least_squares(front: Halves, end: Halves, at: Sequence[Place], images: Images) -> Iterator[Row]:
    """Sums of products of all places, and of all blocks with all, against each alone and bare passes."""
    batches = torch.from_numpy(images.floats()).split(BATCH)
    every = [Place(a.front, b.end) for a in at for b in at]

    def together() -> dict:
        return matching.moments(front, end, at, batches)

    def alone() -> dict:
        return {
            key: found
            for place in at
            for key, found in matching.moments(front, end, [place], batches).items()
        }

    one, other = together(), alone()
    apart = max(float((one[key].xy - other[key].xy).abs().max() / one[key].xy.abs().max()) for key in one)
    ours, theirs = in_turn(together, alone, repeats=3)
    what = f"least squares at {len(at)} blocks of ResNet-20, one pass"
    yield Row(what, "block by block", theirs / ours, 4, checked=f"sums at most {apart:.0e} apart")

    @torch.no_grad()
    def passes() -> None:
        for x in batches:
            for half in (front, end):
                half.model(x)

    ours, least = in_turn(lambda: matching.moments(front, end, every, batches), passes, repeats=3)
    what = f"sums of products of {len(at)} x {len(at)} pairs of blocks of ResNet-20"
    yield Row(what, "two forward passes", ours / least, 1.5, "x the time")
