"""What is said of a layer map in a number."""

import numpy as np
import pytest

from modelkin.layers import statistics

DEPTH = np.linspace(0, 1, 11)
APART = np.abs(DEPTH[:, None] - DEPTH[None])


def values(maps, one_model=True):
    found = statistics.of_map(DEPTH, DEPTH, one_model)
    return {each.name: float(each.values(np.asarray(maps, dtype=float))) for each in found}


def test_means_of_cells_far_apart_are_those_of_the_definition():
    found = values(1 - APART)
    assert found["off_diagonal"] == pytest.approx((1 - APART)[~np.eye(11, dtype=bool)].mean())
    assert found["half_apart"] == pytest.approx((1 - APART)[APART >= 0.5].mean())
    assert found["above_0.8"] == pytest.approx((1 - APART > 0.8)[~np.eye(11, dtype=bool)].mean())


def test_two_blocks_stand_out_and_an_even_map_has_none():
    blocks = np.where((DEPTH[:, None] < 0.5) == (DEPTH[None] < 0.5), 0.9, 0.2)
    assert values(blocks)["block_structure"] == pytest.approx(0.7)
    assert values(np.full((11, 11), 0.7))["block_structure"] == pytest.approx(0, abs=1e-9)


def test_similarity_that_does_not_fall_has_decay_length_one():
    assert values(np.ones((11, 11)))["decay_length"] == pytest.approx(1)
    steep, flat = (values(np.exp(-APART / length))["decay_length"] for length in (0.05, 0.5))
    assert steep < 0.2 < flat


def test_the_same_layer_and_the_best_match():
    shifted = np.exp(-np.abs(DEPTH[:, None] + 0.1 - DEPTH[None]))
    found = values(shifted, one_model=False)
    assert found["same_layer"] == pytest.approx(np.exp(-0.1))
    assert found["best_match_is_same"] == pytest.approx(1 / 11)  # the last has nowhere else to go
    assert found["best_match_apart"] == pytest.approx(0.1 * 10 / 11)


def test_cells_without_a_value_count_for_nothing():
    holed = 1 - APART
    holed[3] = holed[:, 3] = np.nan
    kept = np.delete(np.delete(np.arange(121).reshape(11, 11), 3, 0), 3, 1).ravel()
    off = np.setdiff1d(kept, np.arange(11) * 12)
    assert values(holed)["off_diagonal"] == pytest.approx((1 - APART).ravel()[off].mean())
    assert all(np.isfinite(list(values(holed, one_model=False).values())))
    assert all(np.isnan(list(values(np.full((11, 11), np.nan), one_model=False).values())))


def test_many_maps_at_once_give_the_values_of_each():
    stack = np.stack([1 - APART, np.exp(-APART), np.ones((11, 11))])
    for each in statistics.of_map(DEPTH, DEPTH, False):
        assert np.allclose(each.values(stack), [each.values(one) for one in stack]), each.name
