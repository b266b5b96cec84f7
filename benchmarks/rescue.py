"""``python -m benchmarks.rescue CONFIG ...``: inversions of which failed images are tried again.

For each study, whose models and pairs must be there (``snakemake --until import_model probes``), every
model's first pairs are inverted as its config says, with ``rescue: true``. It prints the tables of
docs/modes.md: median relative loss and share of failed images before and after, what that cost, and how far
linear CKA moves where the first try had worked.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from modelkin.comparison import measures
from modelkin.data.images import load_images
from modelkin.networks.classifier import Classifier, resized
from modelkin.networks.weights import load_model
from modelkin.optimise import inversion
from modelkin.optimise.descent import Descended, Descent
from modelkin.store import frames
from modelkin.study.config import Study, read_study

GROUPS = 10  # of images, each left out once for an interval
T = 2.262  # 97.5 % quantile of Student's t with one degree of freedom less
DRAWS = 1000  # of images, for the interval of a count of models


@dataclass(frozen=True)
class Recorded(Descent):
    """A descent that keeps what each of its runs found, and how many gradients that took."""

    found: list[Descended] = field(default_factory=list)
    gradients: list[int] = field(default_factory=list)

    def run(self, losses: Any, start: torch.Tensor, **settings: Any) -> Descended:
        """Descend, and count the images of which a gradient was asked for."""
        passes = 0

        def counted(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            nonlocal passes
            passes += len(x)
            return losses(x, index)

        found = super().run(counted, start, **settings)
        self.found.append(found)
        self.gradients.append(passes)
        return found


class Tried(NamedTuple):
    """One model's images at the first try, all of its inversion, and the gradients that each try took."""

    first: torch.Tensor
    whole: inversion.Inverted
    gradients: list[int]


def tries_of(
    study: Study, images: int | None, chosen: list[str]
) -> tuple[dict[str, Classifier], dict[str, Tried]]:
    """The models of a study in their order, and the tries of each, or of the chosen ones."""
    results = Path("results") / study.name
    settings = dict(study.section("inversion"))
    above, mode = settings["failed_above"], settings["mode"]
    for key in ("failed_above", "mode", "batch_size", "rescue"):
        settings.pop(key, None)
    descent = inversion.MODES[mode](**settings)
    test = load_images(results / "dataset.json", "test")
    pairs = frames.read(results / "probes" / "pairs.json")
    pairs = pairs.head(images) if images else pairs
    loaded, made = {}, {}
    for name in study.active_compared:
        manifest = results / "models" / f"{name}.json"
        model = loaded[name] = load_model(manifest, entry=study.models[name]).folded()
        if chosen and name not in chosen:
            continue
        seeds, targets = (
            resized(torch.from_numpy(test.floats(test.rows(pairs[role]))), model.size, model.resize)
            for role in ("seed", "target")
        )
        recorded = Recorded(**vars(descent))
        whole = inversion.invert(model, seeds, targets, recorded, rescue_above=above)
        made[name] = Tried(recorded.found[0].images, whole, recorded.gradients)
        print(f"{study.name} {name}: {whole.facts()}", flush=True)
    return loaded, made


@torch.no_grad()
def mean_similarities(source: str, images: torch.Tensor, loaded: Mapping[str, Classifier]) -> np.ndarray:
    """Mean linear CKA of a source with all others on its images, and the same without each group of them."""
    measure = measures.get("linear_cka")
    seen = {
        name: model.representation(resized(images, model.size, model.resize))
        for name, model in loaded.items()
    }
    group, means = torch.arange(len(images)) % GROUPS, []
    for left_out in range(-1, GROUPS):
        ready = {name: measure.prepare(found[group != left_out]) for name, found in seen.items()}
        found = [measure.compare(ready[source], ready[other])[0] for other in loaded if other != source]
        means.append(float(np.mean(found)))
    return np.array(means)


def changes(loaded: Mapping[str, Classifier], made: Mapping[str, Tried]) -> dict[str, tuple[float, float]]:
    """By how much each source's mean CKA with all others moves, and half the width of its interval."""
    found = {}
    for source, tried in made.items():
        if not tried.whole.rescued.any():
            found[source] = 0.0, 0.0
            continue
        after, before = (
            mean_similarities(source, images, loaded) for images in (tried.whole.images, tried.first)
        )
        whole, *parts = after - before
        error = np.sqrt((GROUPS - 1) / GROUPS * ((parts - np.mean(parts)) ** 2).sum())
        found[source] = float(whole), float(T * error)
    return found


def row(study: str, name: str, found: Tried, above: float, change: tuple[float, float]) -> dict:
    """What became of a model's images, and of its similarities with others."""
    whole = found.whole
    return {
        "study": study,
        "model": name,
        "before": whole.first_loss.numpy(),
        "after": whole.loss.numpy(),
        "above": above,
        "gradients": sum(found.gradients) / found.gradients[0],
        "change": change[0],
        "half": change[1],
    }


def failed_models(rows: list[dict], when: str) -> str:
    """How many models have a median above the threshold, with an interval over draws of their images."""
    generator = np.random.default_rng(0)
    counts = np.zeros(DRAWS)
    for each in rows:
        drawn = generator.integers(len(each[when]), size=(DRAWS, len(each[when])))
        counts += np.median(each[when][drawn], axis=1) > each["above"]
    failed = sum(np.median(each[when]) > each["above"] for each in rows)
    low, high = np.quantile(counts, (0.025, 0.975))
    return f"{failed} [{low:.0f}, {high:.0f}]"


def report(rows: list[dict]) -> str:
    """A table of models and one of studies, in Markdown."""
    lines = [
        "| study | model | median relative loss | after | failed images | after | gradients | CKA moves |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each['study']} | {each['model']} | {np.median(each['before']):.3f} "
        f"| {np.median(each['after']):.3f} | {np.mean(each['before'] > each['above']):.0%} "
        f"| {np.mean(each['after'] > each['above']):.0%} | {each['gradients']:.2f} "
        f"| {each['change']:+.3f} ± {each['half']:.3f} |"
        for each in rows
    ]
    lines += [
        "",
        "| study | models | images each | failed models | after | failed images | after | gradients "
        "| mean CKA moves, models that worked: most | mean |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for study in dict.fromkeys(each["study"] for each in rows):
        own = [each for each in rows if each["study"] == study]
        worked = [each for each in own if np.median(each["before"]) <= each["above"]]
        most = max(worked, key=lambda each: abs(each["change"]), default=None)
        moved = f"{most['change']:+.3f} ± {most['half']:.3f} ({most['model']})" if most else "none worked"
        mean = f"{np.mean([each['change'] for each in worked]):+.4f}" if worked else ""
        shares = [
            np.mean([np.mean(each[when] > each["above"]) for each in own]) for when in ("before", "after")
        ]
        lines.append(
            f"| {study} | {len(own)} | {len(own[0]['before'])} | {failed_models(own, 'before')} "
            f"| {failed_models(own, 'after')} | {shares[0]:.1%} | {shares[1]:.1%} "
            f"| {np.mean([each['gradients'] for each in own]):.2f} | {moved} | {mean} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", type=Path, help="their configs")
    parser.add_argument("--images", type=int, help="the first so many pairs of each study; all by default")
    parser.add_argument("--models", nargs="*", default=[], help="that are inverted; all by default")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for config in arguments.studies:
        study = read_study(config)
        above = study.section("inversion")["failed_above"]
        loaded, made = tries_of(study, arguments.images, arguments.models)
        moved = changes(loaded, made)
        rows += [row(study.name, name, found, above, moved[name]) for name, found in made.items()]
    print(report(rows))


if __name__ == "__main__":
    main()
