"""Mean similarity of levels: against means written out, and intervals that hold what they should."""

import itertools

import numpy as np
import pandas as pd
import pytest
from known_study import models_of, similarity_of

from modelkin.analysis import level_means


def test_means_are_those_of_pairs_with_directions_averaged():
    models = models_of(5)
    similarity = similarity_of(models, lambda *_: 0.5, noise=0.1)
    found = level_means.level_means(similarity, models).set_index(["measure", "kind", "level"])
    rows = similarity.query("measure == 'linear_cka' and kind == 'inverted'").set_index(
        ["model_a", "model_b"]
    )["value"]
    by_hand = [(rows[a, b] + rows[b, a]) / 2 for a, b in itertools.combinations(models["name"], 2)]
    row = found.loc[("linear_cka", "inverted", "standard")]
    assert row["mean"] == pytest.approx(np.mean(by_hand))
    assert (row["models"], row["pairs"], row["basis"]) == (5, 10, level_means.RESAMPLED)
    assert row["low"] < row["mean"] < row["high"]


def test_of_too_few_models_there_is_a_range_and_no_interval():
    models = models_of(3)
    found = level_means.level_means(similarity_of(models, lambda *_: 0.5, noise=0.1), models)
    assert set(found["basis"]) == {level_means.RANGE}
    assert not len(level_means.level_differences(similarity_of(models, lambda *_: 0.5), models))


def test_a_level_is_a_threat_and_a_radius():
    models = pd.DataFrame({"name": list("abc"), "eps": [0.0, 0.5, 0.5], "norm": ["linf", "l2", "linf"]})
    assert level_means.levels(models).tolist() == ["standard", "l2 0.5", "linf 0.5"]


def test_models_without_levels_differ_within_their_interval_as_often_as_it_says():
    """Values of pairs that share models: intervals that took pairs for independent would be too small."""
    covered = []
    for seed in range(60):
        models, rng = models_of(16, robust=8), np.random.default_rng(seed)
        of_model = dict(zip(models["name"], rng.normal(size=16), strict=True))
        similarity = similarity_of(models, lambda kind, a, b, own=of_model: 0.1 * (own[a] + own[b]))
        rows = level_means.level_differences(similarity, models, resamples=300)
        row = rows.query("what == 'level' and kind == 'natural' and measure == 'linear_cka'").iloc[0]
        covered.append(row["low"] <= 0 <= row["high"])
    assert np.mean(covered) > 0.8


def test_too_few_robust_models_are_held_against_no_standard_ones():
    models = models_of(8, robust=3)
    similarity = similarity_of(models, lambda *_: 0.5, noise=0.1)
    made = level_means.level_differences(similarity, models, resamples=20)
    assert set(made["what"]) == {"kind"}, "five standard models have natural and inverted images"
    assert set(made["level"]) == {"standard"}


def test_inverted_images_without_natural_ones_differ_from_nothing():
    models = models_of(6)
    similarity = similarity_of(models, lambda *_: 0.5, noise=0.1).query("kind == 'inverted'")
    assert level_means.level_differences(similarity, models, resamples=20).empty
