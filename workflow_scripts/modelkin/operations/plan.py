"""What a study will cost, before anything runs: jobs, passes of models, hours and bytes.

It builds the networks without weights and times each for a moment, or counts its multiply-adds for a device
that is not here; it runs no stage, of results it counts what is there, and it needs neither the dataset nor
the weights.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch

from modelkin.comparison import measures
from modelkin.errors import Undefined
from modelkin.layers.batches import cheapest_deal, dealing_cost, dealing_error
from modelkin.operations import stages
from modelkin.operations.network_costs import Cost, elapsed_seconds
from modelkin.operations.stages import Comparisons, Passes, Stage, Subject, counts, sizes
from modelkin.stitching import settings as stitching
from modelkin.store import manifests
from modelkin.study.config import Study

IMPORTS = "import modelkin.training.fit, modelkin.comparison.similarity, modelkin.optimise.inversion"
MANY_STITCHES = 3000
SYMMETRIC = 0.625  # of a Gram matrix's products that are multiplied out, in strips of its upper half
SAMPLES = 1000  # on which measures that are means over samples are timed; more take longer in proportion


def study_plan(
    study: Study,
    costs: Mapping[str, Cost],
    start: float,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """A row for each stage that the study has, in the order of the workflow.

    Columns jobs; passes, of images through models, as many as are to be expected, and passes_at_most, a
    gradient being one; hours of work, of one core or device; gigabytes on disk, before compression; longest,
    the hours of the longest job.

    costs: of :func:`~modelkin.operations.network_costs.network_costs`. start: seconds that a job takes to
    begin.
    """
    rows = (_row(stage, study, costs, start, device) for stage in stages.STAGES)
    return pd.DataFrame([row for row in rows if row["jobs"]])


def _row(stage: Stage, study: Study, costs: Mapping[str, Cost], start: float, device) -> dict[str, object]:
    subjects = stage.subjects(study)
    expected = [stage.expected_passes(study, subject) for subject in subjects]
    seconds = [
        start + _seconds(stage, study, subject, passes, costs, device)
        for subject, passes in zip(subjects, expected, strict=True)
    ]
    return {
        "stage": stage.name,
        "jobs": len(subjects),
        "passes": sum(map(_total, expected)),
        "passes_at_most": sum(_total(stage.passes(study, subject)) for subject in subjects),
        "hours": sum(seconds) / 3600,
        "gigabytes": sum(stage.stored(study, subject, costs) for subject in subjects) / 1e9,
        "longest": max(seconds, default=0.0) / 3600,
    }


def _total(passes: Mapping[str, Passes]) -> float:
    return sum(each.total for each in passes.values())


def _seconds(
    stage: Stage,
    study: Study,
    subject: Subject,
    passes: Mapping[str, Passes],
    costs: Mapping[str, Cost],
    device,
) -> float:
    """Seconds of one job, its start left out."""
    compared = (
        each.pairs * _comparison_seconds(each, _median_width(costs), study, device)
        for each in stage.comparisons(study, subject)
    )
    modelled = (
        each.seconds(costs[name]) * (1 + _products(costs[name]) * _layer_batch(study))
        if stage.multiplies_layers
        else each.seconds(costs[name])
        for name, each in passes.items()
    )
    return sum(compared) + sum(modelled) + stage.seconds(study, subject) + stage.usual_seconds


def _median_width(costs: Mapping[str, Cost]) -> int:
    """Of the representations of the study's models."""
    return sorted(cost.width for cost in costs.values())[len(costs) // 2]


def seconds_to_start() -> float:
    """Seconds of a core that a job takes before its work begins: what it imports."""
    start = os.times()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    end = os.times()
    return end.children_user + end.children_system - start.children_user - start.children_system


def _comparison_seconds(comparisons: Comparisons, width: int, study: Study, device) -> float:
    """Seconds of one pair by one measure with its chance level, on random values of the study's sizes."""
    takes, samples = measures.get(comparisons.measure.name).takes, comparisons.samples
    width = 2 if takes == "outcomes" else sizes.compared_width(study, takes, width)
    few = samples
    if takes != "representation":  # of the others every sample is compared by itself
        few = min(samples, SAMPLES // 10 if takes == "saliency" else SAMPLES)
    times = 1 + comparisons.permutations
    return samples / few * _paired(comparisons.measure.label, few, width, times, str(device))


@functools.cache
def _paired(label: str, samples: int, width: int, times: int, device: str) -> float:
    chosen = measures.ConfiguredMeasure.of(label)
    measure = measures.get(chosen.name)
    x = torch.rand(2, samples, width, device=device) + 0.1
    prepared = []
    once = (
        elapsed_seconds(lambda: prepared.extend(measure.prepare(v, **chosen.settings) for v in x), device) / 2
    )

    def compare() -> None:
        with contextlib.suppress(Undefined):  # of random values; what it takes to find that out is as long
            measure.compare(*prepared)

    return once + times * elapsed_seconds(compare, device)


def finished_artifacts(folder: str | Path) -> int:
    """How many artifacts of a study have their manifest; 0 for a study that was never begun."""
    found = 0
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.endswith((".zarr", ".partial", ".parts"))]
        made = (Path(where, name) for name in files if name.endswith(".json"))
        found += sum(manifests.read_intact(path) is not None for path in made)
    return found


def plan_warnings(study: Study) -> list[str]:
    """What a study asks for and hardly anybody wants, in sentences."""
    trainings = len(stitching.trainings(study.stitching)) if study.stitched_pairs else 0
    number = len(study.stitched_pairs) * trainings * counts.BLOCKS
    if number <= MANY_STITCHES:
        return []
    return [
        f"Stitching: {len(study.stitched_pairs)} pairs of {trainings} trainings each are about {number:,} "
        f"stitches ({counts.BLOCKS} blocks to a network), more than the {MANY_STITCHES:,} of balogh2023, "
        "which took a GPU a year; name fewer pairs, objectives, starts or repeats."
    ]


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


def layer_batches(study: Study, costs: Mapping[str, Cost]) -> str:
    """What dealing images into batches does to the values of layer maps, and which batch would be cheapest.

    Empty for a study without minibatches.
    """
    if study.layers is None or "batch" not in study.layers["estimator"]:
        return ""
    images, wanted = study.section("probes")["natural"], study.section("plan_error")
    batch, passes = (study.layers["estimator"][key] for key in ("batch", "passes"))
    ratios = sorted(_products(costs[name]) for name in study.active_compared)
    products = ratios[len(ratios) // 2]
    best = cheapest_deal(images, wanted, products)
    now, then = (dealing_cost(*deal, products) for deal in ((batch, passes), best))
    return (
        f"Layer maps: batches of {batch} in {passes} passes leave a value off by "
        f"{dealing_error(images, batch, passes):.2g}; for {wanted:g} batches of {best[0]} in {best[1]} are "
        f"the cheapest, at {then / now:.2g} times their cost."
    )


def _products(cost: Cost) -> float:
    """What the products of all layers of one image with one other cost, in forward passes."""
    return SYMMETRIC * cost.outputs / cost.multiply_adds if cost.multiply_adds else 0.0


def _layer_batch(study: Study) -> int:
    return study.layers["estimator"].get("batch", study.section("probes")["natural"])


def _time(hours: float) -> str:
    for size, unit in ((24 * 365.25, "years"), (24.0, "days"), (1.0, "h"), (1 / 60, "min")):
        if hours >= 2 * size:
            return f"{hours / size:.1f} {unit}"
    return f"{3600 * hours:.0f} s"
