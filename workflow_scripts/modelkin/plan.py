"""What a study will cost, before anything runs: jobs, passes of models, hours and bytes.

It builds the networks without weights and times each for a moment; it runs no stage and reads no result.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from modelkin import datasets, figures, kinds, measures, models, sources, tracing
from modelkin.config import Study

SECONDS = 0.3  # each network is timed at least so long
AUTOATTACK = 3000  # gradients, about, that AutoAttack takes for an image that stays robust
FIGURE_SECONDS = 4.0
IMPORTS = "import modelkin.training, modelkin.similarity, modelkin.inversion"


@dataclass(frozen=True)
class Cost:
    """What one network costs on one device.

    forward, gradient, update: seconds an image for its logits, for the gradient of a loss with respect to it,
    and for a step of training. parameters; width of the representation; size and channels of its images.
    """

    forward: float
    gradient: float
    update: float
    parameters: int
    width: int
    size: int
    channels: int

    @property
    def pixels(self) -> int:
        return self.channels * self.size**2


def plan(
    study: Study,
    costs: Mapping[str, Cost],
    shape: Sequence[int],
    start: float,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """A row for each stage: jobs, passes (images through a model), hours of work, gigabytes on disk.

    costs: of :func:`measured`. shape: channels, height and width of the dataset's images. start: seconds that
    a job takes to begin. Passes count a gradient as one. Hours are of one core or device; gigabytes are
    before compression.
    """
    rows = _stages(study, costs, shape, device)
    table = pd.DataFrame(rows, columns=["stage", "jobs", "passes", "seconds", "bytes"])
    hours = (table["seconds"] + start * table["jobs"]) / 3600
    table = table.assign(hours=hours, gigabytes=table["bytes"] / 1e9)
    return table[["stage", "jobs", "passes", "hours", "gigabytes"]]


def seconds_to_start() -> float:
    """Seconds that a job takes before its work begins: what it imports."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - start


def measured(study: Study, shape: Sequence[int], device: torch.device | str = "cpu") -> dict[str, Cost]:
    """What every model costs; networks that are built alike are timed once."""
    classes = datasets.counts(**study.settings(study.dataset))["classes"]
    known: dict[str, Cost] = {}
    found = {}
    for name in study.names:
        make, key = _maker(study, name, classes, shape)
        if key not in known:
            known[key] = _timed(*make(), device)
        found[name] = known[key]
    return found


def shape_of(study: Study) -> tuple[int, int, int]:
    """Channels, height and width of the dataset's images, from one of them."""
    split = datasets.load(**study.settings(study.dataset))["test"]
    return next(split.pick([0]).blocks()).shape


def _maker(study: Study, name: str, classes: int, shape) -> tuple[Callable, str]:
    """What builds a model's network, size and channels; and a key that is the same for the same network."""
    entry = study.models[name]
    channels = shape[0]
    if entry["source"] == "train":
        training = study.training(name)
        keys = {key: training[key] for key in ("architecture", "width", "representation")}

        def trained():
            model = models.new(channels=channels, size=shape[-1], classes=classes, **keys)
            return model.network, shape[-1], channels

        return trained, str(keys)
    settings = {key: entry[key] for key in ("architecture", "options") if key in entry}
    channels = len(entry.get("mean", [0] * channels))

    def taken():
        network, size = sources.blank(entry["source"], classes, **settings)
        return network, entry.get("size") or size or shape[-1], channels

    return taken, f"{entry['source']} {settings} {entry.get('size')}"


def _timed(network, size: int, channels: int, device) -> Cost:
    rows = models.batch_rows(size, device)
    x = torch.rand(rows, channels, size, size, device=device)
    network = network.to(device).eval()
    head = tracing.find_head(network, x[:2])
    model = models.Classifier(network, head, [0.0] * channels, [1.0] * channels, size).to(device)
    with torch.no_grad():
        width = model.representation(x[:1]).shape[1]
    parameters = sum(value.numel() for value in network.parameters())

    def forward():
        with torch.no_grad():
            model(x)

    def gradient():
        y = x.detach().requires_grad_(True)
        torch.autograd.grad(model(y).sum(), y)

    def update():
        network.requires_grad_(True)
        torch.autograd.grad(
            model(x).sum(), [p for p in network.parameters() if p.requires_grad], allow_unused=True
        )
        network.requires_grad_(False)

    times = []
    for step in (forward, update, gradient):
        network.requires_grad_(step is update)
        times.append(_seconds(step, device) / rows)
    return Cost(times[0], times[2], times[1], parameters, width, size, channels)


def _seconds(step: Callable[[], object], device) -> float:
    """Seconds of one step, after one that is not counted."""
    step()
    count, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < SECONDS:
        step()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        count += 1
    return taken / count


def _stages(study: Study, costs: Mapping[str, Cost], shape, device) -> list[tuple]:
    """(stage, jobs, passes, seconds, bytes) in the order of the workflow."""
    rows = [_data(study, shape)]
    train = [_training(study, name, costs[name]) for name in study.of_source("train")]
    rows.append(_summed("train", train))
    rows.append(("import", len(study.taken), 0, 0.0, sum(4 * costs[name].parameters for name in study.taken)))
    rows.append(_summed("evaluate", [_evaluation(study, costs[name]) for name in study.names]))
    ways = 1 + len(study.others)
    rows.append(_summed("invert", [_inversion(study, costs[name]) for name in study.names] * ways))
    rows.append(
        _summed(
            "activations, natural",
            [
                _natural(study, costs[name], shape, own=way == 0)
                for way in range(ways)
                for name in study.names
            ],
        )
    )
    inverted, natural = (study.section("probes")[made] for made in ("inverted", "natural"))
    rows.append(_shells("activations, inverted", study, costs, inverted, ways))
    if study.adversarial:
        rows.append(_summed("attack", [_attack(study, costs[name]) for name in study.names]))
        rows.append(_shells("activations, adversarial", study, costs, natural))
    rows.append(_similarity(study, costs, device))
    if study.distillation:
        student = study.distillation["student"]
        _, passes, seconds, _ = _training(study, student, costs[student])
        repeats = study.distillation["repeats"]
        rows.append(
            (
                "distill",
                len(study.teachers),
                *(len(study.teachers) * repeats * v for v in (passes, seconds)),
                0,
            )
        )
    rows.append(("tables and figures", len(figures.names()) + 5, 0, FIGURE_SECONDS * len(figures.names()), 0))
    return rows


def _summed(stage: str, parts: list[tuple]) -> tuple:
    return (stage, *(sum(values) for values in zip(*parts, strict=True))) if parts else (stage, 0, 0, 0.0, 0)


def _data(study: Study, shape) -> tuple:
    total = 0
    for label in (study.dataset, *study.others):
        counts = datasets.counts(**study.settings(label))
        total += counts["train"] + counts["test"]
    return ("dataset and probes", 2 * (1 + len(study.others)), 0, 0.0, total * shape[0] * shape[1] * shape[2])


def _training(study: Study, name: str, cost: Cost) -> tuple:
    training = study.training(name)
    images = datasets.counts(**study.settings(study.dataset))["train"] * training["epochs"]
    attack = training.get("attack_steps", 0) if training["recipe"] != "standard" else 0
    seconds = images * (cost.update + attack * cost.gradient)
    return 1, images * (1 + attack), seconds, 4 * cost.parameters


def _evaluation(study: Study, cost: Cost) -> tuple:
    evaluation = study.section("evaluation")
    images = datasets.counts(**study.settings(study.dataset))["test"]
    attacked = min(evaluation["samples"] or images, images)
    gradients = attacked * evaluation["steps"] + evaluation["autoattack"] * AUTOATTACK
    return 1, images + gradients, images * cost.forward + gradients * cost.gradient, 0


def _inversion(study: Study, cost: Cost) -> tuple:
    images, steps = study.section("probes")["inverted"], study.section("inversion")["steps"]
    passes = images * (steps + 1)
    return 1, passes, passes * cost.gradient, 4 * images * cost.pixels


def _natural(study: Study, cost: Cost, shape, own: bool) -> tuple:
    images = study.section("probes")["natural"]
    maps = min(images, study.section("probes")["saliency"]) if own else 0
    seconds = images * cost.forward + maps * cost.gradient
    size = 4 * (images * cost.width + maps * shape[0] * shape[1] * shape[2])
    return 1, images + maps, seconds, size


def _attack(study: Study, cost: Cost) -> tuple:
    images, settings = study.section("probes")["natural"], study.adversarial
    passes = images * settings["steps"] * max(1, settings["starts"])
    return 1, passes, passes * cost.gradient + 3 * images * cost.forward, 4 * images * cost.pixels


def _shells(stage: str, study: Study, costs: Mapping[str, Cost], images: int, ways: int = 1) -> tuple:
    """Every model on so many images of every model."""
    count = len(study.names)
    seconds = sum(images * count * costs[name].forward for name in study.names)
    size = sum(4 * images * count * costs[name].width for name in study.names)
    return (stage, count * ways, images * count**2 * ways, seconds * ways, size * ways)


def _similarity(study: Study, costs: Mapping[str, Cost], device) -> tuple:
    count, seconds = len(study.names), 0.0
    width = sorted(cost.width for cost in costs.values())[count // 2]
    for kind in study.kinds:
        made = kinds.drawn(kind)
        pairs = count * (count + 1) // 2 if made in kinds.PAIRED else count**2
        samples = study.section("probes")["inverted" if made == "inverted" else "natural"]
        for measured in study.measures:
            if measures.get(measured.name).measurable(kind):
                seconds += pairs * _comparing(measured, samples, width, study, device)
    return ("similarity", count, 0, seconds, 0)


def _comparing(measured: measures.Measured, samples: int, width: int, study: Study, device) -> float:
    """Seconds of one pair by one measure with its chance level, on random values of the study's sizes."""
    if measures.get(measured.name).needs == "saliency":
        samples = min(samples, study.section("probes")["saliency"])
    if measures.get(measured.name).needs in ("logits", "outcomes"):
        width = 10
    times = 1 + study.section("chance")["permutations"]
    return _paired(measured.label, samples, width, times, str(device))


@functools.cache
def _paired(label: str, samples: int, width: int, times: int, device: str) -> float:
    measured = measures.Measured.of(label)
    measure = measures.get(measured.name)
    x = torch.rand(2, samples, width, device=device) + 0.1
    start = time.perf_counter()
    a, b = (measure.prepare(values, **measured.settings) for values in x)
    prepared = time.perf_counter()
    measure.compare(a, b)
    return (prepared - start) / 2 + times * (time.perf_counter() - prepared)


def written(table: pd.DataFrame, more: pd.DataFrame | None = None) -> str:
    """The plan as text, with its sum and what dominates; more: that of the same study with one model more."""
    total = table[["jobs", "passes", "hours", "gigabytes"]].sum()
    shown = pd.concat([table, pd.DataFrame([{"stage": "in all", **total}])], ignore_index=True)
    lines = [f"{'stage':<26}{'jobs':>8}{'passes':>12}{'time':>12}{'GB':>9}"]
    for row in shown.itertuples():
        lines.append(
            f"{row.stage:<26}{row.jobs:>8.0f}{row.passes:>12.3g}{_time(row.hours):>12}{row.gigabytes:>9.2g}"
        )
    longest = table.loc[table["hours"].idxmax()]
    lines.append(f"Longest: {longest['stage']}, {longest['hours'] / total['hours']:.0%} of the time.")
    if more is not None:
        added = more[["jobs", "hours", "gigabytes"]].sum() - total[["jobs", "hours", "gigabytes"]]
        lines.append(
            f"One more model like the last: {added['jobs']:.0f} jobs beside tables and figures, "
            f"{_time(added['hours'])}, {added['gigabytes']:.2g} GB."
        )
    return "\n".join(lines)


def _time(hours: float) -> str:
    for size, unit in ((24.0, "days"), (1.0, "h"), (1 / 60, "min")):
        if hours >= 2 * size:
            return f"{hours / size:.1f} {unit}"
    return f"{3600 * hours:.0f} s"
