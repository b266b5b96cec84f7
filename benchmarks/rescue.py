"""``python -m benchmarks.rescue CONFIG ...``: inversions of which failed images are tried again.

For each study, whose models and pairs must be there (``snakemake --until import_model probes``), every
model's first pairs are inverted with ``rescue: true``. It prints two tables: median relative
loss and share of failed images before and after, what that cost, and how far linear CKA moves where the first
try had worked.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from modelkin.comparison import measures
from modelkin.data.images import load_images
from modelkin.networks.classifier import Classifier, resized
from modelkin.networks.weights import load_model
from modelkin.optimise import inversion
from modelkin.optimise.descent import Descent
from modelkin.store import frames
from modelkin.study.config import read_study

FAILED_ABOVE = 0.2
WORKED = 0.1  # share of failed images up to which an inversion counts as one that worked


class Tried(NamedTuple):
    """One model's images at the first try, all of its inversion, and the passes that each took."""

    first: torch.Tensor
    whole: inversion.Inverted
    first_passes: int
    passes: int


def tried(model: Classifier, seeds: torch.Tensor, targets: torch.Tensor, descent: Descent) -> Tried:
    """Invert without and with a second try."""

    def inverted(above: float | None) -> tuple[inversion.Inverted, int]:
        passes = [0]
        found = inversion.invert(
            model,
            seeds,
            targets,
            descent,
            rescue_above=above,
            progress=lambda done, evaluations, loss: passes.append(evaluations),
        )
        return found, passes[-1]

    plain, first_passes = inverted(None)
    if (plain.loss <= FAILED_ABOVE).all():
        none = torch.zeros(len(plain.loss), dtype=torch.bool)
        whole = dataclasses.replace(plain, first_loss=plain.loss, rescued=none)
        return Tried(plain.images, whole, first_passes, first_passes)
    whole, passes = inverted(FAILED_ABOVE)
    left = ~whole.rescued
    assert torch.equal(plain.images[left], whole.images[left])
    return Tried(plain.images, whole, first_passes, passes)


def tries_of(
    config: Path, images: int | None, descent: Descent
) -> tuple[str, dict[str, Classifier], dict[str, Tried]]:
    """The name of a study, its models in their order, and the tries of each."""
    study = read_study(config)
    results = Path("results") / study.name
    test, pairs = (
        load_images(results / "dataset.json", "test"),
        frames.read(results / "probes" / "pairs.json"),
    )
    pairs = pairs.head(images) if images else pairs
    loaded, made = {}, {}
    for name in study.active_compared:
        manifest = results / "models" / f"{name}.json"
        model = loaded[name] = load_model(manifest, entry=study.models[name]).folded()
        seeds, targets = (
            resized(torch.from_numpy(test.floats(test.rows(pairs[role]))), model.size, model.resize)
            for role in ("seed", "target")
        )
        made[name] = tried(model, seeds, targets, descent)
        print(f"{study.name} {name}: {made[name].whole.facts()}", flush=True)
    return study.name, loaded, made


@torch.no_grad()
def similarities(images: Mapping[str, torch.Tensor], loaded: Mapping[str, Classifier]) -> pd.Series:
    """Linear CKA of every source with every other model on the source's inverted images."""
    measure, found = measures.get("linear_cka"), {}
    for source, own in images.items():
        seen = {
            name: measure.prepare(model.representation(resized(own, model.size, model.resize)))
            for name, model in loaded.items()
        }
        for other in loaded.keys() - {source}:
            found[source, other] = float(measure.compare(seen[source], seen[other])[0])
    return pd.Series(found).rename_axis(["source", "other"])


def row(study: str, name: str, found: Tried) -> dict:
    """What became of a model's images, and of its similarities with others."""
    whole = found.whole
    return {
        "study": study,
        "model": name,
        "images": len(whole.loss),
        "median before": float(whole.first_loss.quantile(0.5)),
        "median after": float(whole.loss.quantile(0.5)),
        "failed before": float((whole.first_loss > FAILED_ABOVE).float().mean()),
        "failed after": float((whole.loss > FAILED_ABOVE).float().mean()),
        "passes": found.passes / found.first_passes,
        "more passes": (found.passes - found.first_passes) / len(whole.loss),
    }


def report(rows: pd.DataFrame, moved: pd.DataFrame) -> str:
    """Both tables in Markdown, and what they come to."""
    lines = [
        "| study | model | median relative loss | after | failed images | after | passes |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each['study']} | {each['model']} | {each['median before']:.3f} | {each['median after']:.3f} "
        f"| {each['failed before']:.0%} | {each['failed after']:.0%} | {each['passes']:.1f} |"
        for _, each in rows.iterrows()
    ]
    failed = [(rows[f"median {when}"] > FAILED_ABOVE).sum() for when in ("before", "after")]
    lines.append(
        f"\nOf {len(rows)} models {failed[0]} failed before and {failed[1]} after (median above "
        f"{FAILED_ABOVE}); of all images {rows['failed before'].mean():.1%} and "
        f"{rows['failed after'].mean():.1%}. Passes: {rows['passes'].mean():.2f} times those of one try, "
        f"{rows['more passes'].mean():.0f} an image more."
    )
    lines += [
        "\n| failed images before | sources | CKAs | largest change | root mean square |",
        "|---|---|---|---|---|",
    ]
    for title, part in (
        ("none", moved[moved["failed"] == 0]),
        (f"up to {WORKED:.0%}", moved[moved["failed"].between(0, WORKED, inclusive="right")]),
        (f"more than {WORKED:.0%}", moved[moved["failed"] > WORKED]),
    ):
        sources = part[["study", "source"]].drop_duplicates()
        change = part["change"]
        lines.append(
            f"| {title} | {len(sources)} | {len(part)} | {change.abs().max():.3f} "
            f"| {(change**2).mean() ** 0.5:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="+", type=Path, help="their configs")
    parser.add_argument("--images", type=int, help="the first so many pairs of each study; all by default")
    parser.add_argument("--mode", choices=inversion.MODES, default="fast")
    parser.add_argument("--steps", type=int, help="of the descent; the mode's default if left out")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = {"steps": arguments.steps} if arguments.steps else {}
    rows, moved = [], []
    for config in arguments.studies:
        study, loaded, made = tries_of(config, arguments.images, inversion.MODES[arguments.mode](**settings))
        own = [row(study, name, found) for name, found in made.items()]
        before, after = (
            similarities(images, loaded)
            for images in (
                {name: found.first for name, found in made.items()},
                {name: found.whole.images for name, found in made.items()},
            )
        )
        failed = {each["model"]: each["failed before"] for each in own}
        change = (after - before).rename("change").reset_index()
        moved.append(change.assign(study=study, failed=change["source"].map(failed)))
        rows += own
    print(report(pd.DataFrame(rows), pd.concat(moved)))


if __name__ == "__main__":
    main()
