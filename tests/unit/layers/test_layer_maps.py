"""Layer maps against definitions written out, invariances, and what has no value."""

import numpy as np
import pytest
import torch
import xarray as xr
from ckatorch.core import cka_base
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from torch import nn

import modelkin
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.layers import estimates, grams, maps, recorded
from modelkin.layers.batches import minibatches
from modelkin.layers.views import LayeredModel, View
from modelkin.networks.classifier import Classifier, frozen


def rows(seed, n=40, p=30):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed))


def shown(n=40, size=6, seed=0):
    pixels = np.random.default_rng(seed).random((n, 1, size, size), dtype=np.float32)
    return Images(pixels, np.arange(n) % 3, np.array([f"i{k}" for k in range(n)]), list("abc"))


def small(seed=0, size=6):
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(size * size, 3)
    )
    return frozen(Classifier(network, "4", [0.0], [1.0], size))


def hsic(x, y):
    """HSIC_1 of Song et al. (2012), equation 5, written out in float64."""
    n = len(x)
    k, l = ((v.double() @ v.double().T).fill_diagonal_(0) for v in (x, y))  # noqa: E741
    cross = k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * k.sum(0) @ l.sum(0)
    return ((k * l).sum() + cross) / (n * (n - 3))


def cka(x, y):
    return float(hsic(x, y) / (hsic(x, x) * hsic(y, y)).sqrt())


def outputs(model, images):
    """What each layer of the small network puts out, by plain calls; logits less each image's mean."""
    values, found = torch.from_numpy(images.floats()), []
    for module in model.network:
        values = module(values)
        if not isinstance(module, nn.Flatten):
            found.append(values.flatten(1))
    found[-1] = found[-1] - found[-1].mean(1, keepdim=True)
    return found


def test_a_gram_matrix_gives_the_unbiased_hsic_of_the_definition():
    x, y = rows(0), rows(1, p=50)
    a, b = grams.u_centred_gram(x), grams.u_centred_gram(y)
    found = grams.inner_products(a.unit[None], b.unit[None]).item() * a.norm * b.norm / (40 * 37)
    assert found == pytest.approx(float(hsic(x, y)), rel=1e-6)
    assert found / (a.norm * b.norm / (40 * 37)) == pytest.approx(
        float(cka_base(x, y, unbiased=True)), abs=1e-5
    )


@pytest.mark.parametrize("change", [lambda x: x + 300, lambda x: 1e-18 * x, lambda x: 1e18 * x])
def test_offset_and_scale_change_nothing(change):
    x = rows(0, p=500)
    before, after = grams.u_centred_gram(x), grams.u_centred_gram(change(x))
    assert torch.allclose(before.unit, after.unit, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(5, 90), st.integers(1, 60))
def test_rotations_change_nothing_and_chunks_neither(seed, n, p):
    x = rows(seed, n, p)
    turn = torch.linalg.qr(rows(seed + 1, p, p)).Q
    before = grams.u_centred_gram(x).unit
    assert torch.allclose(before, grams.u_centred_gram(x @ turn).unit, atol=1e-4)


@pytest.mark.parametrize(
    ("output", "norm"),
    [
        (torch.full((8, 5), 0.1), 0.0),
        (torch.eye(8), 0.0),  # all equally far apart
        (torch.tensor([[float("nan")], [0.0], [1.0], [2.0]]), float("nan")),
        (torch.tensor([[float("inf")], [0.0], [1.0], [2.0]]), float("nan")),
    ],
)
def test_outputs_without_a_similarity(output, norm):
    found = grams.u_centred_gram(output)
    assert found.norm == pytest.approx(norm, nan_ok=True)
    assert (found.unit == 0).all() if norm == 0 else found.unit.isnan().all()


def test_order_in_memory_changes_nothing():
    x = torch.randn(9, 4, 5, 5)
    a, b = grams.u_centred_gram(x), grams.u_centred_gram(x.to(memory_format=torch.channels_last))
    assert torch.allclose(a.unit, b.unit, atol=1e-6)


def test_the_exact_map_is_the_definition_with_its_jackknife():
    images, a, b = shown(), small(0), small(1)
    found = modelkin.layer_map(a, b, images, batch=None)
    of_a, of_b = outputs(a, images), outputs(b, images)
    wanted = [[cka(x, y) for y in of_b] for x in of_a]
    assert np.allclose(found["value"], wanted, atol=1e-5)
    left = [cka(of_a[1][keep], of_b[3][keep]) for keep in (np.arange(40) != i for i in range(40))]
    error = np.sqrt(39 / 40 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert float(found["stderr"][1, 3]) == pytest.approx(error, rel=1e-3)
    assert found["layer_a"].to_numpy().tolist() == ["0", "1", "2", "4"]
    assert found["operation_a"].to_numpy().tolist() == ["convolution", "activation", "pooling", "linear"]
    assert found["stage_a"].to_numpy().tolist() == [0, 0, 1, 2]


def test_the_minibatch_map_weights_batches_by_their_images():
    images, model = shown(), small(0)
    found = modelkin.layer_map(model, model, images, batch=15, passes=2, seed=5)
    of = outputs(model, images)
    batches = minibatches(40, 15, 2, 5)
    assert [len(each.rows) for each in batches] == [15, 15, 10] * 2

    def mean(x, y):
        return sum(len(each.rows) * float(hsic(x[each.rows], y[each.rows])) for each in batches)

    wanted = mean(of[0], of[2]) / np.sqrt(mean(of[0], of[0]) * mean(of[2], of[2]))
    assert float(found["value"][0, 2]) == pytest.approx(wanted, abs=1e-5)


def test_batches_of_equal_size_have_the_usual_jackknife_over_each_pass():
    images, model = shown(), small(0)
    first = LayeredModel(model)
    view = View(first, images)
    comparison = maps.Comparison([maps.Map(view, view)])
    parts = [comparison.batch(each) for each in minibatches(40, 10, 1, 0)]
    joined = xr.concat(parts, "sample", data_vars="all").isel(map=0)
    (group,) = estimates.groups(joined, exact=False)
    spread = 3 / 4 * ((group.left_out - group.left_out.mean(0)) ** 2).sum(0)
    assert np.allclose(estimates.jackknife(joined, exact=False).stderr, np.sqrt(spread), atol=1e-8)


def test_a_last_batch_of_fewer_than_four_is_left_out():
    assert [len(each.rows) for each in minibatches(13, 10, 1, 0)] == [10]
    assert [len(each.rows) for each in minibatches(14, 10, 1, 0)] == [10, 4]


def test_pooled_features_are_another_measure():
    images, model = shown(), small(0)
    found = modelkin.layer_map(model, model, images, batch=None, features="pooled")
    means = outputs(model, images)[0].unflatten(1, (4, 36)).mean(2)
    assert float(found["value"][0, 3]) == pytest.approx(cka(means, outputs(model, images)[3]), abs=1e-5)


def test_a_layer_that_is_constant_or_not_finite_has_no_value_and_the_others_have():
    model, images = small(0), shown()
    model.network[0].bias[:] = -10  # after it the activation is 0
    found = modelkin.layer_map(model, small(1), images, batch=10)
    assert found["undefined_a"].to_numpy().tolist() == ["", *[estimates.IS_CONSTANT] * 3]
    assert np.isnan(found["value"][1:]).all()
    assert np.isfinite(found["value"][0]).all()
    other = small(2)
    other.network[4].weight[:] = float("nan")
    found = modelkin.layer_map(other, small(1), images, batch=10)
    assert found["undefined_a"].to_numpy().tolist() == [*[""] * 3, estimates.NOT_FINITE]
    assert np.isfinite(found["value"][:3]).all()


def test_each_model_takes_its_own_size_and_chance_is_near_nothing():
    found = modelkin.layer_map(small(0), small(1, size=8), shown(200), batch=50)
    assert found["value"].shape == (4, 4)
    assert abs(float(found["chance"].mean())) < 0.05
    assert float(found["value"][0, 0]) > 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"batch": 3}, "batches of at least 4 images, not 3"),
        ({"batch": 50}, "40 images, fewer than a batch of 50"),
        (
            {"layers": "convo*"},
            "the first model: no layer of the network is meant by 'convo*'; choose one of: all",
        ),
        ({"images_b": shown(seed=1).pick(np.arange(39, -1, -1))}, "in another order"),
        ({"features": "mean"}, "features must be one of all, pooled"),
        ({"measure": "svcca"}, "measure must be one of cka, procrustes"),
        ({"measure": "procrustes", "features": "pooled"}, "Procrustes similarity is of all outputs"),
        ({"measure": "procrustes", "batch": None}, "Procrustes similarity is of batches"),
    ],
)
def test_what_cannot_be_compared(arguments, said):
    with pytest.raises(ModelkinError, match=said.replace("*", r"\*")):
        modelkin.layer_map(small(0), small(1), shown(), **({"batch": 10} | arguments))


def test_more_memory_than_there_is_is_said_before_the_work():
    model = LayeredModel(small(0))
    view = View(model, shown())
    needed = maps.Comparison([maps.Map(view, view)]).memory(10**7)
    with pytest.raises(ModelkinError, match=r"take \S+ GB, and \S+ GB of memory are free; ask for a smaller"):
        recorded.check_memory(needed, torch.device("cpu"), exact=False)


def test_other_weights_are_used_for_their_view_alone():
    model, other = small(0), small(1)
    layered, images = LayeredModel(model), shown()
    own, swapped = View(layered, images), View(layered, images, other.network.state_dict())
    comparison = maps.Comparison([maps.Map(own, swapped), maps.Map(own, own)], exact=True)
    found = estimates.estimate(comparison.batch(recorded.deal(40, {"name": "exact"}, 0)[0]), exact=True)
    wanted = modelkin.layer_map(small(0), other, images, batch=None)
    assert np.allclose(found["value"][0], wanted["value"], atol=1e-6)
    assert np.allclose(np.diag(found["value"][1]), 1)


def test_procrustes_is_that_of_the_representations_of_each_batch():
    images, a, b = shown(), small(0), small(1)
    found = modelkin.layer_map(a, b, images, batch=15, passes=1, seed=5, measure="procrustes")
    of_a, of_b = outputs(a, images), outputs(b, images)
    wanted = np.zeros((4, 4))
    for each in minibatches(40, 15, 1, 5):
        for i, x in enumerate(of_a):
            for j, y in enumerate(of_b):
                wanted[i, j] += len(each.rows) / 40 * written_out(x[each.rows], y[each.rows])
    assert np.allclose(found["value"], wanted, atol=1e-6)
    assert (found["stderr"] > 0).all()


def written_out(x, y):
    """Procrustes similarity by scipy, of configurations of the same width: 1 - d / 2."""
    width = max(x.shape[1], y.shape[1])
    padded = [np.pad(v.double().numpy(), [(0, 0), (0, width - v.shape[1])]) for v in (x, y)]
    # scipy lets one side be scaled too: its disparity is 1 - s^2, s the sum of singular values.
    return 1 - np.sqrt(2 - 2 * np.sqrt(1 - procrustes(*padded)[2])) / 2


def test_procrustes_of_a_model_with_itself_and_its_chance():
    images, model = shown(), small(0)
    found = modelkin.layer_map(model, model, images, batch=20, passes=1, measure="procrustes")
    assert np.allclose(np.diag(found["value"]), 1, atol=1e-6)
    assert np.allclose(found["value"], found["value"].T)
    assert (np.diag(found["chance"]) < 0.9).all()
    assert (found["chance"] > 0.1).all(), "it has no unbiased estimator"


def test_procrustes_has_no_value_where_a_layer_is_constant_or_not_finite():
    model, images = small(0), shown()
    model.network[0].bias[:] = -10  # after it the activation is 0
    found = modelkin.layer_map(model, small(1), images, batch=10, measure="procrustes")
    assert found["undefined_a"].to_numpy().tolist() == ["", *[estimates.IS_CONSTANT] * 3]
    assert np.isnan(found["value"][1:]).all()
    assert np.isfinite(found["value"][0]).all()
    model.network[0].weight[:] = float("nan")
    found = modelkin.layer_map(model, small(1), images, batch=10, measure="procrustes")
    assert found["undefined_a"].to_numpy().tolist() == [estimates.NOT_FINITE] * 4
    assert np.isnan(found["value"]).all()


def test_the_last_snapshot_is_not_changed_by_loading_the_others():
    models, images = {epoch: small(epoch) for epoch in (0, 1, 2)}, shown()
    wanted = modelkin.layer_map(small(1), small(2), images, batch=None)["value"]
    weights = {epoch: model.network.state_dict() for epoch, model in models.items()}
    made = recorded.snapshot_maps(LayeredModel(models[2], "all"), weights, images, 2, "all")
    comparison = maps.Comparison(made, exact=True)
    found = estimates.estimate(comparison.batch(recorded.deal(40, {"name": "exact"}, 0)[0]), exact=True)
    number = [each.about["epoch_a"] + each.about["epoch_b"] for each in made].index("12")
    assert np.allclose(found["value"][number], wanted, atol=1e-6)
