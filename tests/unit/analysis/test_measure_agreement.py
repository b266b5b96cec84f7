"""Whether measures agree, against scipy, and the order of a matrix whose groups are known."""

import numpy as np
import pandas as pd
import pytest
from known_study import models_of, similarity_of
from scipy import stats

from modelkin.analysis import measure_agreement

DIRECTIONS = {"linear_cka": "similarity", "symmetrised_kl": "distance"}


def test_a_distance_that_is_one_less_the_similarity_agrees_with_it():
    models = models_of(6)
    similarity = similarity_of(models, lambda *_: 0.5, noise=0.1)
    found = measure_agreement.measure_agreement(similarity, models, DIRECTIONS, resamples=50)
    assert found["spearman"].to_numpy() == pytest.approx([1, 1])
    assert set(found["n"]) == {15}


def test_ranks_are_correlated_as_by_scipy():
    models = models_of(7)
    a, b = (similarity_of(models, lambda *_: 0.5, noise=0.1, seed=seed) for seed in (1, 2))
    natural = a.query("kind == 'natural'").copy()
    other = b.query("kind == 'natural' and measure == 'linear_cka'")["value"].to_numpy()
    natural.loc[natural["measure"] == "symmetrised_kl", "value"] = -other
    (row,) = measure_agreement.measure_agreement(natural, models, DIRECTIONS).itertuples()
    apart = natural[(natural["measure"] == "linear_cka") & (natural["model_a"] != natural["model_b"])]
    turned = natural[(natural["measure"] != "linear_cka") & (natural["model_a"] != natural["model_b"])]
    assert row.spearman == pytest.approx(stats.spearmanr(apart["value"], -turned["value"]).statistic)
    assert row.spearman_low < row.spearman < row.spearman_high


def test_few_models_have_no_ranks_to_compare():
    models = models_of(3)
    similarity = similarity_of(models, lambda *_: 0.5)
    assert not len(measure_agreement.measure_agreement(similarity, models, DIRECTIONS))


def test_a_copy_is_no_other_model():
    """What is said of a study is said of it with a copy too, to the last bit."""
    models = models_of(6)
    similarity = similarity_of(models, lambda *_: 0.5, noise=0.1)
    similarity["value"] = np.where(
        similarity["measure"] == "linear_cka",
        similarity["value"],
        np.random.default_rng(3).random(len(similarity)),
    )
    rest = {"resamples": 20, "seed": 4}
    every = measure_agreement.measure_agreement(similarity, models, DIRECTIONS, **rest)
    copied = models.assign(same_weights_as=[*[None] * 5, "m2"])
    found = measure_agreement.measure_agreement(similarity, copied, DIRECTIONS, **rest)
    alone = similarity[~similarity[["model_a", "model_b"]].eq("m5").any(axis=1)]
    without = measure_agreement.measure_agreement(alone, models[:5], DIRECTIONS, **rest)
    pd.testing.assert_frame_equal(found, without, check_exact=True)
    assert set(found["n"]) == {10}
    assert set(found["models"]) == {5}
    assert (found["spearman"] != every["spearman"]).all()


def test_what_says_nothing_of_similarity_is_told_apart():
    """m0 is at chance and far from all by both measures, m1 could not be inverted."""
    models = models_of(8)
    models["at_chance"] = models["name"] == "m0"
    models["inversion_failed"] = models["name"] == "m1"
    similarity = similarity_of(models, lambda *_: 0.5, noise=0.1)
    turned = similarity["measure"] == "symmetrised_kl"
    similarity.loc[turned, "value"] = np.random.default_rng(3).random(turned.sum())
    far = similarity[["model_a", "model_b"]].eq("m0").any(axis=1)
    similarity.loc[far, "value"] = np.where(turned[far], 3, -2) + similarity.loc[far, "value"]
    found = measure_agreement.measure_agreement(similarity, models, DIRECTIONS, resamples=20).set_index(
        "kind"
    )
    assert (found["spearman"] > 0.5).all(), "both put it far away"
    assert (found["spearman_sound"].abs() < 0.5).all()
    assert found["n"].to_dict() == {"natural": 28, "inverted": 28}
    # On inverted images m1 is still seen in those of others.
    assert found["n_sound"].to_dict() == {"natural": 21, "inverted": 21}
    assert set(found["models_sound"]) == {7}
    for kind in found.index:
        rows = similarity[(similarity["kind"] == kind) & ~far]
        rows = rows[(rows["model_a"] != rows["model_b"]) & ((rows["model_a"] != "m1") | (kind == "natural"))]
        pair = rows[["model_a", "model_b"]].apply(lambda row: "".join(sorted(row)), axis=1)
        means = rows.pivot_table(index=pair, columns="measure", values="value")
        wanted = stats.spearmanr(means["linear_cka"], -means["symmetrised_kl"]).statistic
        assert found.loc[kind, "spearman_sound"] == pytest.approx(wanted)
        assert found.loc[kind, "spearman_sound_low"] < wanted < found.loc[kind, "spearman_sound_high"]


def test_a_study_of_sound_models_has_one_agreement_and_one_of_few_sound_ones_has_no_second():
    models = models_of(5)
    similarity = similarity_of(models, lambda *_: 0.5, noise=0.1)
    found = measure_agreement.measure_agreement(similarity, models, DIRECTIONS, resamples=20)
    for name in ("", "_low", "_high"):
        assert found[f"spearman_sound{name}"].tolist() == found[f"spearman{name}"].tolist()
    models["at_chance"] = models["name"].isin(["m0", "m1"])
    found = measure_agreement.measure_agreement(similarity, models, DIRECTIONS, resamples=20)
    assert found["spearman"].notna().all()
    assert found["spearman_sound"].isna().all()
    assert found["n_sound"].tolist() == found["models_sound"].tolist() == [0, 0]


def test_groups_stand_together_in_the_order_of_the_tree():
    models = models_of(8)
    group = {name: place % 2 for place, name in enumerate(models["name"])}
    similarity = similarity_of(models, lambda kind, a, b: 0.9 if group[a] == group[b] else 0.1, noise=0.02)
    for order in measure_agreement.dendrogram_orders(similarity, DIRECTIONS).values():
        assert np.abs(np.diff([group[name] for name in order])).sum() == 1
