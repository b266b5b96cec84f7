"""Images, on disk and off it, and probes drawn from them: nothing wrong is taken for images."""

import numpy as np
import pytest

from modelkin import seeds
from modelkin.data.images import Images
from modelkin.data.probes import natural_probe, seed_target_pairs
from modelkin.errors import ModelkinError
from modelkin.store import arrays


def some(n=12, classes=3):
    rng = np.random.default_rng(0)
    ids = np.array([f"s{i}" for i in range(n)])
    names = [str(c) for c in range(classes)]
    return Images(rng.random((n, 1, 4, 4), np.float32), np.arange(n) % classes, ids, names)


def test_images_survive_the_disk(tmp_path):
    arrays.write(some().to_dataset(), tmp_path / "x.zarr")
    back = Images.from_dataset(arrays.open_dataset(tmp_path / "x.zarr"))
    assert np.array_equal(back.pixels, some().pixels)
    assert back.ids.tolist() == some().ids.tolist()
    assert back.classes == some().classes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda i: (i.pixels * 2, i.labels, i.ids, i.classes), "between 0 and 1"),
        (lambda i: (i.pixels * np.nan, i.labels, i.ids, i.classes), "finite"),
        (lambda i: (i.pixels, i.labels + 1, i.ids, i.classes), "labels must be between 0 and 2"),
        (lambda i: (i.pixels, i.labels[1:], i.ids, i.classes), "differ in number"),
        (lambda i: (i.pixels, i.labels, np.repeat(i.ids[::2], 2), i.classes), "same sample id"),
    ],
)
def test_wrong_images(change, said):
    with pytest.raises(ModelkinError, match=said):
        Images(*change(some()))


def test_probes_are_drawn_by_name_and_refuse_too_few():
    rng = seeds.generator
    first, second = (natural_probe(some(), 5, rng(0, "natural")) for _ in range(2))
    assert first.ids.tolist() == second.ids.tolist()
    assert first.ids.tolist() != natural_probe(some(), 5, rng(0, "other")).ids.tolist()
    with pytest.raises(ModelkinError, match="asks for 13 images"):
        natural_probe(some(), 13, rng(0))
    with pytest.raises(ModelkinError, match="asks? for 13 targets"):
        seed_target_pairs(some(), 13, rng(0))
    with pytest.raises(ModelkinError, match="all of one class"):
        seed_target_pairs(some(classes=1), 3, rng(0))
