"""Boundaries, the shortcut for a new model, and draws in a study."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY

from modelkin.comparison import boundaries
from modelkin.data.images import load_images
from modelkin.networks.weights import load_model
from modelkin.store import arrays


def test_a_study_with_all_of_them(finished):
    table = {
        name: pd.read_parquet(finished.results / "tables" / f"{name}.parquet")
        for name in ("similarity", "sat_shortcut", "sat_shortcut_models", "draws")
    }
    rows = table["similarity"].set_index(["measure", "model_a", "model_b"])
    natural = load_images(finished.results / "probes" / "natural.json")
    loaded = {name: load_model(finished.results / "models" / f"{name}.json") for name in ("vgg-0", "mlp-0")}
    regions = rows.loc[("decision_regions", "vgg-0", "mlp-0")]
    stores = [
        arrays.open_dataset(finished.results / "boundaries" / f"{name}.zarr", "regions")["regions"]
        for name in loaded
    ]
    assert regions["value"] == pytest.approx(float((stores[0].to_numpy() == stores[1].to_numpy()).mean()))
    ids = stores[0]["sample"].to_numpy()[0].split("+")
    corners = torch.from_numpy(natural.select(ids).floats())
    anew = np.concatenate(
        [boundaries._classes(loaded["vgg-0"], part) for part in boundaries._plane(corners, 5, 8)]
    )
    assert anew.tolist() == stores[0][0].to_numpy().tolist()
    assert rows.loc["boundary_distance"]["value"].between(0, 10).all()
    full = table["sat_shortcut"].set_index(["model_a", "model_b"])["full"]
    for (a, b), value in full.items():
        same = ("sat", a, b) if ("sat", a, b) in rows.index else ("sat", b, a)
        assert value == pytest.approx(rows.loc[same, "value"])
    assert len(table["sat_shortcut_models"]) == 4
    assert set(table["draws"]["measure"]) == {
        m if isinstance(m, str) else m["name"] for m in TINY["measures"]
    }
