"""Parts of an artifact follow each other in its store, also those of one group."""

import numpy as np
import xarray as xr

from modelkin.store import arrays, manifests
from modelkin.store.resumable import Part, write_in_parts


def part(number):
    ids = arrays.sample_coordinate([f"{number}{letter}" for letter in "ab"])
    data = {"value": (("sample", "of"), np.full((2, 3), number)), "count": ("sample", [number, number])}
    return xr.Dataset(data, coords={"sample": ids, "of": arrays.sample_coordinate(list("xyz"))})


def test_parts_of_one_group_follow_each_other(tmp_path):
    manifest = tmp_path / "made.json"
    parts = [Part(lambda number=number: [part(number)]) for number in range(3)]
    write_in_parts(manifest, parts, stage="x", version=1, settings={}, inputs=[])
    made = arrays.open_dataset(manifests.store_of(manifest))
    assert made["count"].to_numpy().tolist() == [0, 0, 1, 1, 2, 2]
    assert made["sample"].to_numpy().tolist() == ["0a", "0b", "1a", "1b", "2a", "2b"]
    assert made["of"].to_numpy().tolist() == ["x", "y", "z"]
