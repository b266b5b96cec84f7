"""What a study will cost, before anything runs: jobs, passes of models, hours and bytes.

It builds the networks without weights and times each for a moment, or counts its multiply-adds for a device
that is not here; it runs no stage and reads no result, and needs neither the dataset nor the weights.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
import torch

from modelkin import figures, probe_kinds
from modelkin.comparison import measures
from modelkin.data import datasets
from modelkin.operations import resources
from modelkin.operations.network_costs import Cost, elapsed_seconds
from modelkin.study.config import Study

# Of an inversion's steps, the share that is taken before images are finished; measured in docs/modes.md.
STEPS_TAKEN = {"published": 1.0, "fast": 0.4}
FIGURE_SECONDS = 4.0
IMPORTS = "import modelkin.training.fit, modelkin.comparison.similarity, modelkin.optimise.inversion"
SAMPLES = 1000  # on which measures that are means over samples are timed; more take longer in proportion


class Stage(NamedTuple):
    """A stage: its jobs, passes of models, seconds and bytes in all, and the seconds of its longest job."""

    name: str
    jobs: int
    passes: float
    seconds: float
    bytes: float
    longest: float


def study_plan(
    study: Study,
    costs: Mapping[str, Cost],
    start: float,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """A row for each stage: jobs, passes (images through a model), hours of work, gigabytes on disk, and
    the hours of its longest job.

    costs: what each network costs, by model. start: seconds that a job takes to begin. Passes
    count a gradient as one.
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
    if study.resampling_draws:
        stages.append(_draws(study, costs, device))
    drawn, written = (
        len(figures.names()),
        7 + ("sat" in [chosen.name for chosen in study.measures]),
    )
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
    gradients = attacked * evaluation["steps"] + evaluation["autoattack"] * resources.AUTOATTACK
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
    passes = images * resources.gradients(settings)
    seconds = passes * cost.gradient + 3 * images * cost.forward
    size = {"uint16": 2, "uint8": 1}[settings["stored"]]
    return _job("attack", passes, seconds, size * images * cost.pixels)


def _boundaries(study: Study, cost: Cost) -> Stage:
    points, asked = resources.boundary_points(study), study.boundaries
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
        made = probe_kinds.origin_of(kind)
        ordered = made not in probe_kinds.ONE_VALUE_PER_PAIR
        pairs, last = (count**2, 2 * count - 1) if ordered else (count * (count + 1) // 2, count)
        samples = study.section("probes")["inverted" if made == "inverted" else "natural"]
        for chosen in study.measures:
            if measures.get(chosen.name).measurable(kind):
                one = _comparing(chosen, samples, width, study, device)
                seconds, longest = seconds + pairs * one, longest + last * one
    return Stage("similarity", count, 0, seconds, 0, longest)


def _draws(study: Study, costs: Mapping[str, Cost], device) -> Stage:
    """All pairs on each part of the images; an upper bound, for draws take no chance level."""
    count, seconds = len(study.active), 0.0
    width = sorted(cost.width for cost in costs.values())[len(costs) // 2]
    samples = study.section("probes")["natural"] // study.resampling_draws
    for kind in study.resampled_kinds:
        for chosen in study.measures:
            if measures.get(chosen.name).measurable(kind):
                one = _comparing(chosen, samples, width, study, device)
                seconds += study.resampling_draws * count * (count + 1) / 2 * one
    return _job("draws", 0, seconds, 0)


def _comparing(chosen: measures.ConfiguredMeasure, samples: int, width: int, study: Study, device) -> float:
    """Seconds of one pair by one measure with its chance level, on random values of the study's sizes."""
    what = measures.get(chosen.name).takes
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
    return samples / few * _paired(chosen.label, few, width, times, str(device))


@functools.cache
def _paired(label: str, samples: int, width: int, times: int, device: str) -> float:
    chosen = measures.ConfiguredMeasure.of(label)
    measure = measures.get(chosen.name)
    x = torch.rand(2, samples, width, device=device) + 0.1
    prepared = []
    once = (
        elapsed_seconds(lambda: prepared.extend(measure.prepare(v, **chosen.settings) for v in x), device) / 2
    )
    return once + times * elapsed_seconds(lambda: measure.compare(*prepared), device)


def plan_text(table: pd.DataFrame, more: pd.DataFrame | None = None, devices: int = 1) -> str:
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
