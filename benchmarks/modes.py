"""``python -m benchmarks.modes [results/digits]``: fast mode of inversion against the published one.

Every model's inverted probe of a finished study is made again in both modes, and seen by all models. It
prints the table of docs/modes.md and draws docs/modes.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from modelkin.comparison import measures
from modelkin.data.images import load_images
from modelkin.figures.base import STYLE
from modelkin.networks import classifier
from modelkin.networks.weights import load_model
from modelkin.optimise import inversion
from modelkin.store import frames

CLOSE = 0.02


def inverted(study: Path, loaded: Mapping[str, classifier.Classifier]) -> dict[str, dict]:
    """For each mode, each model's inversions of the study's pairs, and the seconds they took."""
    test = load_images(study / "dataset.json", "test")
    pairs = frames.read(study / "probes" / "pairs.json")
    made = {mode: {} for mode in inversion.MODES}
    for (name, model), (mode, descent) in itertools.product(loaded.items(), inversion.MODES.items()):
        start = time.perf_counter()
        parts = [inverted() for inverted in inversion.inversion_parts(model, test, pairs, descent())]
        told = inversion.Inverted.joined([inversion.Inverted.told(part) for part in parts])
        images = torch.from_numpy(np.concatenate([part["image"].to_numpy() for part in parts]))
        whole = dataclasses.replace(told, images=images)
        made[mode][name] = whole, time.perf_counter() - start
        print(f"{name}, {mode}: {made[mode][name][1]:.0f} s, {whole.facts()}", flush=True)
    return made


@torch.no_grad()
def similarities(probes: Mapping[str, tuple], loaded: Mapping[str, classifier.Classifier]) -> pd.DataFrame:
    """Linear CKA of every source with every other model on the source's inverted images."""
    measure, rows = measures.get("linear_cka"), []
    for source, (probe, _) in probes.items():
        seen = {name: measure.prepare(model.representation(probe.images)) for name, model in loaded.items()}
        for other in loaded:
            if other != source:
                value, stderr, _ = measure.compare(seen[source], seen[other])
                rows.append({"source": source, "other": other, "cka": float(value), "stderr": float(stderr)})
    return pd.DataFrame(rows).set_index(["source", "other"])


def by_model(made: Mapping[str, dict], levels: Mapping[str, float]) -> pd.DataFrame:
    """A row for each model: what each mode reached, how far its images moved, what it cost."""
    rows = []
    for name in made["published"]:
        row = {"model": name, "eps": levels[name]}
        for mode, probes in made.items():
            probe, seconds = probes[name]
            facts = probe.facts()
            row |= {f"{key} {mode}": facts[f"median_{key}"] for key in ("loss", "distance")}
            row |= {f"steps {mode}": float(probe.steps.double().mean()), f"seconds {mode}": seconds}
        rows.append(row)
    return pd.DataFrame(rows)


def draw(rows: pd.DataFrame, both: pd.DataFrame):
    """Residuals, distances moved, and the similarities they lead to, published against fast."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.7))
    panels = (
        ("loss", "median relative loss", rows),
        ("distance", "median distance moved (L2)", rows),
        ("cka", "linear CKA with another model", both),
    )
    for axis, (key, title, table) in zip(axes, panels, strict=True):
        x, y = (f"{key} {mode}" for mode in inversion.MODES)
        ends = [0, 1.05 * table[[x, y]].to_numpy().max()]
        axis.plot(ends, ends, color="0.6", lw=0.8, zorder=0)
        if key == "cka":
            axis.fill_between(
                ends, np.subtract(ends, CLOSE), np.add(ends, CLOSE), color="0.9", zorder=0, label=f"± {CLOSE}"
            )
        sns.scatterplot(table, x=x, y=y, hue="eps", palette="viridis", s=22, ax=axis, legend=key == "cka")
        axis.set(title=title, xlabel="published", ylabel="fast", xlim=ends, ylim=ends, aspect="equal")
    axes[2].legend(title="eps of the source", loc="upper left")
    return figure


def report(rows: pd.DataFrame, both: pd.DataFrame) -> str:
    """The comparison as a Markdown table."""
    difference = both["cka fast"] - both["cka published"]
    lines = ["| | published | fast |", "|---|---|---|"]
    for key, what in (
        ("loss", "median relative loss, median of the models"),
        ("distance", "median distance, median of the models"),
        ("steps", "steps an image, mean"),
        ("seconds", "seconds in all"),
    ):
        values = rows[[f"{key} {mode}" for mode in inversion.MODES]]
        total = values.sum() if key == "seconds" else values.mean() if key == "steps" else values.median()
        lines.append(f"| {what} | " + " | ".join(f"{value:.3g}" for value in total) + " |")
    for eps, part in both.groupby("eps"):
        means = part[[f"cka {mode}" for mode in inversion.MODES]].mean()
        lines.append(f"| mean CKA, sources of eps {eps:g} | {means.iloc[0]:.3f} | {means.iloc[1]:.3f} |")
    close, farthest = (difference.abs() <= CLOSE).mean(), difference.abs().max()
    ranks = both[["cka published", "cka fast"]].corr("spearman").iloc[0, 1]
    lines.append(
        f"\nOf {len(both)} pairs' CKAs {close:.0%} differ by at most {CLOSE}, all by at most {farthest:.3f}; "
        f"root mean square {np.sqrt((difference**2).mean()):.3f}, where the standard error of one is "
        f"{both['stderr'].median():.3f}. Rank correlation {ranks:.4f}."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="?", type=Path, default=Path("results/digits"))
    parser.add_argument("--figure", type=Path, default=Path("docs/modes.png"))
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    known = frames.read(arguments.study / "tables" / "models.json")
    levels = dict(zip(known["name"], known["eps"], strict=True))
    loaded = {name: load_model(arguments.study / "models" / f"{name}.json").folded() for name in levels}
    made = inverted(arguments.study, loaded)
    rows, seen = by_model(made, levels), {mode: similarities(made[mode], loaded) for mode in made}
    both = pd.concat({f"cka {mode}": table["cka"] for mode, table in seen.items()}, axis=1)
    both = both.assign(stderr=seen["published"]["stderr"]).reset_index()
    both["eps"] = both["source"].map(levels)
    print(report(rows, both))
    plt.rcParams.update(STYLE)
    draw(rows, both).savefig(arguments.figure, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
