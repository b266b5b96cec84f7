"""Stitched models are models: images are inverted through them, and their representations have a place."""

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_samples
from stitchable import floats, half, some_images

from modelkin.data.probes import seed_target_pairs
from modelkin.errors import ModelkinError
from modelkin.operations.stages.columns import COLUMNS
from modelkin.optimise.inversion import published
from modelkin.stitching import views
from modelkin.stitching.pair import Pair
from modelkin.stitching.stitched import halves

SECTION = {"at": "blocks", "before_activation": "auto"}
NAMES = {"front", "end", "task"}


@pytest.fixture(scope="module")
def pair():
    images = some_images()
    return Pair(half(4, 0), half(5, 1), images, images, SECTION, 0, "cpu")


@pytest.fixture(scope="module")
def models(pair):
    return views.matched_models(pair)


def test_the_models_are_those_of_matching(pair, models):
    assert list(models) == pair.places()
    first, model = next(iter(models.items()))
    x = floats(pair.test)
    given = pair.front.graph.front(first.front)(pair.front.model.prepared(x))
    own = pair.end.graph.front(first.end)(pair.end.model.prepared(x))
    stitched = model.network.stitch(given)
    with torch.no_grad():
        # The residual of least squares has no mean and is orthogonal to what it was fitted on.
        off = (own - stitched).transpose(0, 1).flatten(1).double()
        rows = given.transpose(0, 1).flatten(1).double()
    assert off.mean(1).abs().max() < 1e-5
    assert (off @ rows.T / rows.shape[1]).abs().max() < 1e-5


def test_an_image_inverted_through_a_stitch_is_nearer_to_its_target_in_the_stitched_representation(
    pair, models
):
    chosen = seed_target_pairs(pair.test, 4, np.random.default_rng(0))
    made = {
        view: views.inverted(model, pair.test, chosen, published(steps=40, step_size=0.2))
        for view, model in views.inverted_views(pair, models).items()
    }
    assert list(made) == ["end", "front", "block-1", "block-2"]
    for model, view in zip(models.values(), ("block-1", "block-2"), strict=True):
        seeds, targets = (
            model.representation(torch.from_numpy(pair.test.select(chosen[role]).floats()))
            for role in ("seed", "target")
        )
        found = model.representation(torch.from_numpy(made[view]["image"].to_numpy()))
        off = torch.linalg.vector_norm(found - targets, dim=1) / torch.linalg.vector_norm(targets, dim=1)
        np.testing.assert_allclose(made[view]["loss"], off.detach(), rtol=1e-3, atol=1e-4)
        started = torch.linalg.vector_norm(seeds - targets, dim=1) / torch.linalg.vector_norm(targets, dim=1)
        assert (off < 0.8 * started).all()
    rows = views.inversion_rows(pair, made)
    assert {*rows.columns} == {*COLUMNS["stitching_inversions"]} - NAMES - {"seed", "target"}
    stitched = rows[rows["view"] == "stitched"]
    assert stitched.groupby("block").size().to_dict() == {1: 4, 2: 4}
    assert rows[rows["view"] != "stitched"]["front_block"].isna().all()


def test_a_zero_representation_has_no_loss(pair):
    dead = half(4, 0)
    with torch.no_grad():
        dead.model.network[3].weight.zero_()
        dead.model.network[3].bias.fill_(-1)
    chosen = seed_target_pairs(pair.test, 3, np.random.default_rng(0))
    made = views.inverted(dead.model, pair.test, chosen, published(steps=2))
    assert np.isnan(made["loss"]).all()
    np.testing.assert_array_equal(made["image"], pair.test.select(chosen["seed"]).floats())


def test_a_dead_block_is_left_out_and_a_dead_front_is_refused(pair):
    dead = half(4, 0)
    with torch.no_grad():
        dead.model.network[3].weight.zero_()
    only_last = pair._replace(front=half_of(dead))
    assert [place.front.name for place in views.matched_models(only_last)] == [pair.places()[0].front.name]
    with torch.no_grad():
        dead.model.network[1].weight.zero_()
    with pytest.raises(ModelkinError, match="dead"):
        views.matched_models(pair._replace(front=half_of(dead)))


def half_of(one):
    """Its graph anew, for its weights were changed."""
    return halves(one.model)


def test_t_sne_has_a_row_for_each_image_block_and_kind(pair, models):
    rows = views.t_sne_rows(pair, models)
    assert {*rows.columns} == {*COLUMNS["stitching_t_sne"]} - NAMES
    assert rows.groupby(["block", "of"]).size().tolist() == [48] * 4
    assert np.isfinite(rows[["x", "y"]].to_numpy()).all()
    x, labels = floats(pair.test), pair.test.labels
    last = pair.places()[1]
    values = pair.front.graph.front(last.front)(pair.front.model.prepared(x)).flatten(1).detach().double()
    wanted = silhouette_samples(values.numpy(), labels).mean()
    found = rows[(rows["block"] == 2) & (rows["of"] == "front")]["silhouette"]
    assert found.to_numpy() == pytest.approx(wanted, abs=1e-6)


def test_clusters_are_apart_in_the_plane():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    values = generator.normal(size=(40, 80)) + 30 * labels[:, None]
    places = views.in_the_plane(values, 5)
    assert views.silhouette(places, labels) > 0.7
    np.testing.assert_array_equal(places, views.in_the_plane(values, 5))
    assert (views.in_the_plane(np.ones((6, 3)), 0) == 0).all()
    assert np.isnan(views.silhouette(values, np.zeros(40, int)))
