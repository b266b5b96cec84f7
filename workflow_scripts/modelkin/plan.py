"""What a study will cost, before anything runs: jobs, passes of models, hours and bytes.

It builds the networks without weights and times each for a moment, or counts its multiply-adds for a device
that is not here; it runs no stage and reads no result, and needs neither the dataset nor the weights.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from modelkin import artifacts, datasets, figures, kinds, measures, models, needs, sources, tracing
from modelkin.config import Study
from modelkin.errors import ModelkinError

SECONDS = 0.3  # each network is timed at least so long
# Of an inversion's steps, the share that is taken before images are finished; measured in docs/modes.md.
STEPS_TAKEN = {"published": 1.0, "fast": 0.4}
FIGURE_SECONDS = 4.0
IMPORTS = "import modelkin.training, modelkin.similarity, modelkin.inversion"
SAMPLES = 1000  # on which measures that are means over samples are timed; more take longer in proportion


@dataclass(frozen=True)
class Cost:
    """What one network costs on one device.

    forward, gradient, update: seconds an image for its logits, for the gradient of a loss with respect to it,
    and for a step of training. parameters; width of the representation; size and channels of its images;
    multiply_adds of one forward pass of one image.
    """

    forward: float
    gradient: float
    update: float
    parameters: int
    width: int
    size: int
    channels: int
    multiply_adds: int = 0

    @property
    def pixels(self) -> int:
        return self.channels * self.size**2

    def at(self, teraflops: float) -> Cost:
        """The same network on a device that sustains so many 1e12 operations a second.

        A multiply-add is two operations; a gradient with respect to the image costs two forward passes, a
        step of training three.
        """
        forward = 2 * self.multiply_adds / (teraflops * 1e12)
        return replace(self, forward=forward, gradient=2 * forward, update=3 * forward)


class Stage(NamedTuple):
    """A stage: its jobs, passes of models, seconds and bytes in all, and the seconds of its longest job."""

    name: str
    jobs: int
    passes: float
    seconds: float
    bytes: float
    longest: float


def plan(
    study: Study,
    costs: Mapping[str, Cost],
    start: float,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """A row for each stage: jobs, passes (images through a model), hours of work, gigabytes on disk, and
    the hours of its longest job.

    costs: of :func:`measured`. start: seconds that a job takes to begin. Passes count a gradient as one.
    Hours are of one core or device; gigabytes are before compression.
    """
    table = pd.DataFrame(_stages(study, costs, device))
    hours = (table["seconds"] + start * table["jobs"]) / 3600
    longest = (table["longest"] + start * (table["jobs"] > 0)) / 3600
    table = table.assign(stage=table["name"], hours=hours, longest=longest, gigabytes=table["bytes"] / 1e9)
    return table[["stage", "jobs", "passes", "hours", "gigabytes", "longest"]]


def seconds_to_start() -> float:
    """Seconds of a core that a job takes before its work begins: what it imports."""
    start = os.times()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    end = os.times()
    return end.children_user + end.children_system - start.children_user - start.children_system


def measured(
    study: Study,
    device: torch.device | str = "cpu",
    *,
    teraflops: float | None = None,
    kept: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Cost]:
    """What every model costs; networks that are built alike are timed once.

    teraflops: reckon with this sustained rate instead of timing (see :meth:`Cost.at`). kept: a JSON file of
    what was found before on the same device of the same machine with the same software; it is read, and
    written after each network. progress(networks done, networks in all) is called after each that is new.
    Raises ModelkinError if the file is damaged.
    """
    classes = study.counts[study.dataset]["classes"]
    shape = datasets.shape(**study.settings(study.dataset))
    makers = {name: _maker(study, name, classes, shape) for name in study.names}
    found = _read(kept)
    where = _where(device, timed=teraflops is None)
    new = {f"{where}; {key}": make for make, key in makers.values() if f"{where}; {key}" not in found}
    for done, (key, make) in enumerate(new.items(), start=1):
        found[key] = _examined(*make(), device, timed=teraflops is None)
        _write(kept, found)
        if progress is not None:
            progress(done, len(new))
    costs = {name: found[f"{where}; {key}"] for name, (_, key) in makers.items()}
    return costs if teraflops is None else {name: cost.at(teraflops) for name, cost in costs.items()}


def _where(device: torch.device | str, timed: bool) -> str:
    """What decides the times of a network besides the network."""
    software = artifacts.software()
    versions = f"torch {software['torch']}, modelkin {software['modelkin']}"
    if not timed:
        return f"counted; {versions}"
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)} of {platform.node()}; {versions}"
    return f"{torch.get_num_threads()} threads of {platform.node()} ({platform.machine()}); {versions}"


def _read(kept: str | Path | None) -> dict[str, Cost]:
    if kept is None or not Path(kept).exists():
        return {}
    try:
        return {key: Cost(**values) for key, values in json.loads(Path(kept).read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelkinError(f"{kept} is damaged ({error}); delete it.") from None


def _write(kept: str | Path | None, found: Mapping[str, Cost]) -> None:
    if kept is None:
        return
    path = Path(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    temporary.write_text(json.dumps({key: asdict(cost) for key, cost in found.items()}, indent=1) + "\n")
    os.replace(temporary, path)


def _maker(study: Study, name: str, classes: int, shape) -> tuple[Callable, str]:
    """What builds a model's network, size, channels and head; and a key, the same for the same network."""
    entry = study.models[name]
    channels = shape[0]
    images = f"{classes} classes, {shape[0]} x {shape[1]} x {shape[2]}"
    if entry["source"] == "train":
        training = study.training(name)
        keys = {key: training[key] for key in ("architecture", "width", "representation")}

        def trained():
            model = models.new(channels=channels, size=shape[-1], classes=classes, **keys)
            return model.network, shape[-1], channels, model.head

        return trained, f"train {keys}, {images}"
    settings = {key: entry[key] for key in ("architecture", "options") if key in entry}
    channels = len(entry.get("mean", [0] * channels))

    def taken():
        network, size = sources.blank(entry["source"], classes, **settings)
        return network, entry.get("size") or size or shape[-1], channels, entry.get("head")

    own = Path(entry["architecture"].partition(".py:")[0] + ".py")
    code = f", {artifacts.digest_of(own)}" if own.is_file() else ""
    about = {key: entry[key] for key in ("size", "head", "mean") if key in entry}
    return taken, f"{entry['source']} {settings}{code} {about}, {images}"


def _examined(network, size: int, channels: int, head: str | None, device, timed: bool) -> Cost:
    """What there is to know of a network; its times only if they are wanted, else 0."""
    try:
        x = torch.rand(models.batch_rows(size, device) if timed else 2, channels, size, size, device=device)
        network = network.to(device).eval().requires_grad_(False)
        _check_takes(network, x[:2])
        head = head or tracing.find_head(network, x[:2])
        model = models.Classifier(network, head, [0.0] * channels, [1.0] * channels, size).to(device)
        with torch.no_grad():
            width = model.representation(x[:1]).shape[1]
        parameters = sum(value.numel() for value in network.parameters())
        multiply_adds = tracing.multiply_adds(network, x[:1])
        times = _times(model, x) if timed else (0.0, 0.0, 0.0)
        return Cost(*times, parameters, width, size, channels, multiply_adds)
    finally:
        # Networks refer to themselves, and dozens of them do not fit into memory.
        del network
        gc.collect()
        if torch.device(device).type == "cuda":
            torch.cuda.empty_cache()


@torch.no_grad()
def _check_takes(network, x: torch.Tensor) -> None:
    """ModelkinError unless a network takes images like these."""
    try:
        network(x)
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelkinError(
            f"a {type(network).__name__} of the study does not take images of shape {tuple(x.shape[1:])} "
            f"({reason}); its `size` or the dataset's `channels` may be wrong."
        ) from None


def _times(model: models.Classifier, x: torch.Tensor) -> tuple[float, float, float]:
    """Seconds an image of a forward pass, of a gradient and of a step of training."""

    def forward():
        with torch.no_grad():
            model(x)

    def gradient():
        y = x.detach().requires_grad_(True)
        torch.autograd.grad(model(y).sum(), y)

    def update():
        torch.autograd.grad(model(x).sum(), list(model.network.parameters()), allow_unused=True)

    times = []
    for step in (forward, gradient, update):
        model.network.requires_grad_(step is update)
        times.append(_seconds(step, x.device) / len(x))
    return tuple(times)


def _seconds(step: Callable[[], object], device) -> float:
    """Seconds of one step, after one that is not counted; of that one if it takes long enough to be exact."""
    once = _elapsed(step, device)
    if once > 3 * SECONDS:
        return once
    count, taken = 0, 0.0
    while taken < SECONDS:
        taken += _elapsed(step, device)
        count += 1
    return taken / count


def _elapsed(step: Callable[[], object], device) -> float:
    """Seconds of a device, or of one core: what this process uses, so that others do not count."""
    on_gpu = torch.device(device).type == "cuda"
    now = time.perf_counter if on_gpu else time.process_time
    start = now()
    step()
    if on_gpu:
        torch.cuda.synchronize(device)
    return now() - start


def _stages(study: Study, costs: Mapping[str, Cost], device) -> list[Stage]:
    """The stages in the order of the workflow."""
    each = [costs[name] for name in study.names]
    every = (study.dataset, *study.others)
    inverted, natural = (study.section("probes")[made] for made in ("inverted", "natural"))
    trained = [_training(study, name, costs[name]) for name in study.of_source("train")]
    taken = [_job("import", 0, 0.0, 4 * costs[name].parameters) for name in study.taken]
    stages = [
        _summed("dataset and probes", [_data(study, label) for label in every]),
        _summed("train", trained),
        _summed("import", taken),
        _summed("evaluate", [_evaluation(study, cost) for cost in each]),
        _summed("invert", [_inversion(study, cost) for cost in each] * len(every)),
        _summed("activations, natural", [_natural(study, cost, label) for label in every for cost in each]),
        _shells("activations, inverted", study, each, inverted, len(every)),
    ]
    if study.adversarial:
        stages.append(_summed("attack", [_attack(study, cost) for cost in each]))
        stages.append(_shells("activations, adversarial", study, each, natural))
    if study.boundaries:
        stages.append(_summed("boundaries", [_boundaries(study, cost) for cost in each]))
    stages.append(_similarity(study, costs, device))
    if study.distillation:
        stages.append(_distillation(study, costs))
    if study.draws:
        stages.append(_draws(study, costs, device))
    drawn, written = len(figures.names()), 7 + ("sat" in [measured.name for measured in study.measures])
    stages.append(Stage("tables and figures", drawn + written, 0, FIGURE_SECONDS * drawn, 0, FIGURE_SECONDS))
    return stages


def _job(stage: str, passes: float, seconds: float, size: float, jobs: int = 1) -> Stage:
    return Stage(stage, jobs, passes, seconds, size, seconds)


def _summed(stage: str, parts: Iterable[Stage]) -> Stage:
    parts = list(parts)
    totals = (sum(getattr(part, key) for part in parts) for key in ("jobs", "passes", "seconds", "bytes"))
    return Stage(stage, *totals, max((part.longest for part in parts), default=0.0))


def _classes(study: Study) -> int:
    return study.counts[study.dataset]["classes"]


def _data(study: Study, label: str) -> Stage:
    settings = study.settings(label)
    counts, (channels, height, width) = datasets.counts(**settings), datasets.shape(**settings)
    size = (counts["train"] + counts["test"]) * channels * height * width
    return _job("dataset and probes", 0, 0.0, size, jobs=2)


def _training(study: Study, name: str, cost: Cost) -> Stage:
    training = study.training(name)
    images = study.counts[study.dataset]["train"] * training["epochs"]
    attack = training.get("attack_steps", 0) if training["recipe"] != "standard" else 0
    seconds = images * (cost.update + attack * cost.gradient)
    return _job("train", images * (1 + attack), seconds, 4 * cost.parameters)


def _distillation(study: Study, costs: Mapping[str, Cost]) -> Stage:
    student, repeats = study.distillation["student"], study.distillation["repeats"]
    one = _training(study, student, costs[student])
    job = _job("distill", repeats * one.passes, repeats * one.seconds, 0)
    return _summed("distill", [job] * len(study.teachers))


def _evaluation(study: Study, cost: Cost) -> Stage:
    evaluation = study.section("evaluation")
    images = study.counts[study.dataset]["test"]
    attacked = min(evaluation["samples"] or images, images)
    gradients = attacked * evaluation["steps"] + evaluation["autoattack"] * needs.AUTOATTACK
    return _job("evaluate", images + gradients, images * cost.forward + gradients * cost.gradient, 0)


def _inversion(study: Study, cost: Cost) -> Stage:
    images, settings = study.section("probes")["inverted"], study.section("inversion")
    passes = images * (settings["steps"] * STEPS_TAKEN[settings["mode"]] + 1)
    return _job("invert", passes, passes * cost.gradient, 4 * images * cost.pixels)


def _natural(study: Study, cost: Cost, label: str) -> Stage:
    images, own = study.section("probes")["natural"], label == study.dataset
    maps = min(images, study.section("probes")["saliency"]) if own else 0
    channels, height, width = datasets.shape(**study.settings(label))
    seconds = images * cost.forward + maps * cost.gradient
    size = 4 * (images * (cost.width + _classes(study)) + maps * channels * height * width)
    return _job("activations, natural", images + maps, seconds, size)


def _attack(study: Study, cost: Cost) -> Stage:
    images, settings = study.section("probes")["natural"], study.adversarial
    passes = images * needs.gradients(settings)
    seconds = passes * cost.gradient + 3 * images * cost.forward
    size = {"uint16": 2, "uint8": 1}[settings["stored"]]
    return _job("attack", passes, seconds, size * images * cost.pixels)


def _boundaries(study: Study, cost: Cost) -> Stage:
    points, asked = needs.boundary_points(study), study.boundaries
    size = 4 * asked["regions"]["triplets"] * asked["regions"]["grid"] ** 2 if "regions" in asked else 0
    return _job("boundaries", points, points * cost.forward, size)


def _shells(stage: str, study: Study, each: Sequence[Cost], images: int, ways: int = 1) -> Stage:
    """Every model on so many images of every model; the last shell is the longest."""
    count, classes = len(each), _classes(study)
    forwards = sum(cost.forward for cost in each)
    size = sum(4 * images * count * (cost.width + classes) for cost in each)
    longest = images * (forwards + (count - 1) * each[-1].forward)
    passes, seconds = images * count**2, images * count * forwards
    return Stage(stage, count * ways, passes * ways, seconds * ways, size * ways, longest)


def _similarity(study: Study, costs: Mapping[str, Cost], device) -> Stage:
    """The last shell completes the most pairs: of M models' M x M, 2 M."""
    count, seconds, longest = len(study.names), 0.0, 0.0
    width = sorted(cost.width for cost in costs.values())[count // 2]
    for kind in study.kinds:
        made = kinds.drawn(kind)
        ordered = made not in kinds.PAIRED
        pairs, last = (count**2, 2 * count - 1) if ordered else (count * (count + 1) // 2, count)
        samples = study.section("probes")["inverted" if made == "inverted" else "natural"]
        for measured in study.measures:
            if measures.get(measured.name).measurable(kind):
                one = _comparing(measured, samples, width, study, device)
                seconds, longest = seconds + pairs * one, longest + last * one
    return Stage("similarity", count, 0, seconds, 0, longest)


def _draws(study: Study, costs: Mapping[str, Cost], device) -> Stage:
    """All pairs on each part of the images; an upper bound, for draws take no chance level."""
    count, seconds = len(study.active), 0.0
    width = sorted(cost.width for cost in costs.values())[len(costs) // 2]
    samples = study.section("probes")["natural"] // study.draws
    for kind in study.drawn_kinds:
        for measured in study.measures:
            if measures.get(measured.name).measurable(kind):
                one = _comparing(measured, samples, width, study, device)
                seconds += study.draws * count * (count + 1) / 2 * one
    return _job("draws", 0, seconds, 0)


def _comparing(measured: measures.Measured, samples: int, width: int, study: Study, device) -> float:
    """Seconds of one pair by one measure with its chance level, on random values of the study's sizes."""
    what = measures.get(measured.name).needs
    if what == "saliency":
        samples = min(samples, study.section("probes")["saliency"])
    if what in study.boundaries:
        asked = study.boundaries[what]
        samples = min(samples, asked.get("triplets", asked.get("samples")))
    pixels = functools.reduce(lambda a, b: a * b, datasets.shape(**study.settings(study.dataset)))
    width = {
        "saliency": pixels,
        "logits": _classes(study),
        "outcomes": 2,
        "distances": 2,
        "regions": study.section("boundaries")["grid"] ** 2,
    }.get(what, width)
    # Of these every sample is compared by itself.
    few = (
        min(samples, SAMPLES if what != "saliency" else SAMPLES // 10)
        if what != "representation"
        else samples
    )
    times = 1 + study.section("chance")["permutations"]
    return samples / few * _paired(measured.label, few, width, times, str(device))


@functools.cache
def _paired(label: str, samples: int, width: int, times: int, device: str) -> float:
    measured = measures.Measured.of(label)
    measure = measures.get(measured.name)
    x = torch.rand(2, samples, width, device=device) + 0.1
    prepared = []
    once = _elapsed(lambda: prepared.extend(measure.prepare(v, **measured.settings) for v in x), device) / 2
    return once + times * _elapsed(lambda: measure.compare(*prepared), device)


def written(table: pd.DataFrame, more: pd.DataFrame | None = None, devices: int = 1) -> str:
    """The plan as text, with its sum and what dominates.

    more: the plan of the same study with one model more. devices: how many run jobs at once.
    """
    total = table[["jobs", "passes", "hours", "gigabytes"]].sum()
    shown = pd.concat([table, pd.DataFrame([{"stage": "in all", **total}])], ignore_index=True)
    lines = [f"{'stage':<26}{'jobs':>8}{'passes':>12}{'time':>12}{'GB':>9}"]
    for row in shown.itertuples():
        lines.append(
            f"{row.stage:<26}{row.jobs:>8.0f}{row.passes:>12.3g}{_time(row.hours):>12}{row.gigabytes:>9.2g}"
        )
    longest = table.loc[table["hours"].idxmax()]
    lines.append(f"Longest: {longest['stage']}, {longest['hours'] / total['hours']:.0%} of the time.")
    if devices > 1:
        most = max(total["hours"] / devices, table["longest"].max())
        lines.append(
            f"On {devices} devices at once: {_time(most)} at least; the longest job takes "
            f"{_time(table['longest'].max())}."
        )
    if more is not None:
        added = more[["jobs", "hours", "gigabytes"]].sum() - total[["jobs", "hours", "gigabytes"]]
        lines.append(
            f"One more model like the last: {added['jobs']:.0f} jobs beside tables and figures, "
            f"{_time(added['hours'])}, {added['gigabytes']:.2g} GB."
        )
    return "\n".join(lines)


def _time(hours: float) -> str:
    for size, unit in ((24 * 365.25, "years"), (24.0, "days"), (1.0, "h"), (1 / 60, "min")):
        if hours >= 2 * size:
            return f"{hours / size:.1f} {unit}"
    return f"{3600 * hours:.0f} s"
