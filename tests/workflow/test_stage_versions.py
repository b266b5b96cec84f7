"""Results that change must raise the stage's version, or finished studies would silently stay as they were.

After raising a version: MODELKIN_UPDATE=1 python -m pytest tests/workflow/test_stage_versions.py
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from modelkin.data.images import load_images
from modelkin.operations.stages import VERSIONS
from modelkin.store import arrays, manifests

# What is imported is somebody else's, and tests/workflow has files on both. Snapshots and layers are not in
# this study, but in test_snapshots.py and test_layers.py, and stitches in test_stitching.py.
ELSEWHERE = ("import", "imported", "snapshots", "evaluate_snapshots", "training_epochs")
ELSEWHERE += ("layers_within", "layers_between", "layers_snapshots", "layer_tables")
ELSEWHERE += (
    "stitch",
    "stitching",
    "stitch_views",
    "stitching_views",
    "training_activations",
    "stitched_heads",
    "stitching_agreement",
)
STAGES = [stage for stage in VERSIONS if stage not in ELSEWHERE]
GOLDEN = Path(__file__).parent / "stage_versions.json"


def numbers(results: Path) -> dict[str, list[float]]:
    """A few numbers for each stage, of the tiny study."""

    def facts(name):
        return manifests.read(results / f"{name}.json")["facts"]

    def column(table, name):
        return pd.read_parquet(results / f"{table}.parquet")[name].to_numpy(float)

    def picture(name):
        return np.asarray(Image.open(results / "figures" / name).convert("L"), float)

    test = load_images(results / "dataset.json", "test")
    natural = load_images(results / "probes" / "natural.json")
    store = manifests.store_of(results / "activations" / "natural" / "mlp-0.json")
    seen = arrays.open_dataset(store).merge(arrays.open_dataset(store, "saliency"))
    return {
        "dataset": [len(test), test.floats().mean(), test.labels[:20].sum()],
        "probes": [natural.floats().mean(), natural.labels.sum(), column("probes/pairs", "seed_label").sum()],
        "train": [column("tables/training", name).mean() for name in ("loss", "test_accuracy")],
        "evaluate": [column("tables/models", f"{name}_accuracy").mean() for name in ("clean", "adversarial")],
        "invert": [facts(f"probes/inverted/{name}")["median_distance"] for name in ("vgg-0", "mlp-0.5")],
        "attack": [facts(f"probes/adversarial/{name}")["median_distance"] for name in ("vgg-0", "mlp-0.5")],
        "boundaries": [
            float(arrays.open_dataset(results / "boundaries" / "vgg-0.5.zarr", what)[what].mean())
            for what in ("regions", "distances")
        ],
        "activations": [float(abs(seen[name]).mean()) for name in sorted(seen)],
        "similarity": [
            np.nanmean(column("similarity/mlp-0.5", name)) for name in ("value", "stderr", "chance")
        ],
        "tables": [column("tables/summary", "mean").mean(), column("tables/asymmetry", "mean").mean()],
        "dictionary": [len(column("tables/measures", "low")), column("tables/measures", "low").mean()],
        "clusters": [column("tables/spectra", "eigenvalue").max(), column("tables/clusters", "x").std()],
        "conclusions": [
            np.nanmean(column("tables/conclusions", "effect")),
            column("tables/conclusions", "decided").sum() / 100,
        ],
        "components": [
            column("tables/component_keywords", "weight").mean(),
            column("tables/component_scores", "pairs").mean(),
        ],
        "sat_shortcut": [column("tables/sat_shortcut", name).mean() for name in ("shortcut", "full")],
        "draws": [np.nanmean(column("tables/draws", name)) for name in ("variance", "spearman")],
        "ensembles": [column("tables/ensemble_pairs", name).mean() for name in ("error", "all_wrong")],
        "recommendations": [column("tables/recommendations", "gain")[:2].mean()],
        "distillation": [column("tables/distillation_correlations", "n").sum()],
        "distill": [column("tables/distillation", "student_accuracy").mean()],
        "explorer": [(results / "explorer.html").read_text().count("<li class=")],
        "figures": [
            # Shape and ink: fonts differ a little between machines.
            value
            for name in ("robustness/robustness.png", "heatmaps/linear_cka.png", "inversions/inversions.png")
            for value in (picture(name).shape[1] / 100, picture(name).mean())
        ],
    }


@pytest.fixture(scope="module")
def found(finished):
    made = numbers(finished.results)
    if os.environ.get("MODELKIN_UPDATE"):
        rounded = {stage: [float(f"{value:.5g}") for value in values] for stage, values in made.items()}
        golden = {stage: {"version": VERSIONS[stage], "numbers": values} for stage, values in rounded.items()}
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
    return made


def test_every_stage_has_a_version(found):
    assert set(found) == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_results_change_only_with_the_version(found, stage):
    golden = json.loads(GOLDEN.read_text())[stage]
    assert golden["version"] == VERSIONS[stage], f"update {GOLDEN.name}: see the top of this file"
    assert found[stage] == pytest.approx(golden["numbers"], rel=0.05, abs=0.02), (
        f"the results of stage '{stage}' changed: raise its version in modelkin/operations/stages.py, "
        "or that of the earlier stage which is the cause"
    )
