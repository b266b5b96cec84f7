"""Arrays on disk: the same content is the same bytes, and what is lost is not taken for zeros."""

import numpy as np
import pytest

from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.store import arrays, digests


def test_equal_images_give_equal_digests(tmp_path):
    pixels = np.random.default_rng(0).random((12, 1, 4, 4), np.float32)
    images = Images(pixels, np.arange(12) % 3, np.array([f"s{i}" for i in range(12)]), ["0", "1", "2"])
    for name in "ab":
        arrays.write(images.to_dataset(), tmp_path / name, group="g")
    assert digests.digest_of(tmp_path / "a") == digests.digest_of(tmp_path / "b")


def test_black_images_and_lost_ones_are_not_the_same(tmp_path):
    black = Images(np.zeros((4, 1, 2, 2), np.uint8), np.zeros(4, int), np.array(list("abcd")), ["x"])
    store = tmp_path / "c.zarr"  # the name of a chunk's folder too
    arrays.write(black.to_dataset(), store, group="c")
    found = Images.from_dataset(arrays.open_dataset(store, "c"))
    assert not found.floats().any()
    for lost in ("image/c/0/0/0/0", "sample/c/0"):
        again, away = arrays.open_dataset(store, "c"), tmp_path / "away"
        (store / "c" / lost).rename(away)
        with pytest.raises(ModelkinError, match=f"c.zarr is damaged: c/{lost} is missing; delete .*c.json"):
            (again if lost.startswith("image") else arrays.open_dataset(store, "c")).load()
        away.rename(store / "c" / lost)
    with pytest.raises(ModelkinError, match="is damaged and cannot be read"):
        arrays.open_dataset(store, "other")


def test_a_store_that_is_not_one(tmp_path):
    (tmp_path / "x.zarr").mkdir()
    with pytest.raises(ModelkinError, match="cannot be read"):
        arrays.open_dataset(tmp_path / "x.zarr")
