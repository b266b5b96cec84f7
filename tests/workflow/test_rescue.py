"""A study whose failed inversions are tried again says so for each image; one that asks for none has none."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import TINY, StudyFolder

from modelkin.store import arrays, manifests

KEPT = ("study", "device", "dataset", "training", "evaluation", "measures", "probes")
ABOVE = 0.3
TARGETS = ("tables", "dictionary")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two models and their inversions, too short for most images, without the key."""
    config = {key: TINY[key] for key in KEPT}
    config |= {
        "models": TINY["models"][:2],
        "measures": ["linear_cka"],
        "inversion": {"mode": "published", "steps": 8, "step_size": 0.4, "failed_above": ABOVE},
    }
    made = StudyFolder(tmp_path_factory.mktemp("rescue"), config)
    made.make(*TARGETS)
    return made


def planned(study):
    """The rules of which jobs are left."""
    done = study.run("--quiet", "rules", "--dry-run", *TARGETS)
    assert done.returncode == 0, done.stdout[-4000:]
    return set(re.findall(r"^(\w+) +\d+$", done.stdout, re.MULTILINE)) - {"total"}


def probes(study):
    """The inverted images of each model, and what their manifest says of them."""
    found = {}
    for name in ("vgg-0", "mlp-0"):
        manifest = study.results / "probes" / "inverted" / f"{name}.json"
        made = json.loads(manifest.read_text())
        found[name] = arrays.open_dataset(manifests.store_of(manifest)).load(), made
    return found


def table(study, name):
    return pd.read_parquet(study.results / "tables" / f"{name}.parquet")


def test_a_second_try_is_made_only_where_it_is_asked_for(study):
    before, columns = probes(study), table(study, "inversions").columns
    for probe, made in before.values():
        assert not {"rescued", "first_loss"} & {*probe}
        assert not [key for key in made["settings"]["inversion"] if "rescue" in key]
    assert not [name for name in (*columns, *table(study, "models")) if "rescued" in name]
    study.config["inversion"]["rescue"] = False
    assert planned(study) == set()

    study.config["inversion"]["rescue"] = True
    assert {"invert", "tables", "dictionary"} <= planned(study)
    assert not {"train", "dataset", "probes", "evaluate", "activations_natural"} & planned(study)
    study.make(*TARGETS)
    assert planned(study) == set()
    shares = {}
    for name, (probe, made) in probes(study).items():
        first = before[name][0]
        saved = probe["rescued"].to_numpy()
        assert np.array_equal(probe["first_loss"], first["loss"])
        assert saved.any()
        assert (probe["first_loss"].to_numpy()[saved] > ABOVE).all()
        assert (probe["loss"].to_numpy()[saved] <= ABOVE).all()
        for key in ("image", "loss", "distance"):
            assert np.array_equal(probe[key].to_numpy()[~saved], first[key].to_numpy()[~saved]), key
        assert made["settings"]["inversion"]["rescue_above"] == ABOVE
        shares[name] = made["facts"]["rescued"]
        assert shares[name] == saved.mean()
    inversions = table(study, "inversions").set_index("model")
    assert inversions["rescued"].to_dict() == shares
    assert inversions["median_first_loss"].to_dict() == {
        name: pytest.approx(float(before[name][0]["loss"].median())) for name in shares
    }
    assert table(study, "models").set_index("name")["inversion_rescued"].to_dict() == shares
    described = table(study, "dictionary").groupby("table")["column"].agg(set)
    for name in ("inversions", "models"):
        assert described[name] == {*table(study, name)}
