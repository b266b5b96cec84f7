"""Boundaries, the shortcut for a new model, and draws: against the definitions."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from conftest import TINY
from torch import nn

from modelkin import compare
from modelkin.analysis.sat_shortcut import shortcut_models, shortcut_pairs
from modelkin.comparison import boundaries, measures, similarity
from modelkin.comparison.pairs import Pair
from modelkin.comparison.resampling import resampled_rows, resampling_variance
from modelkin.data.images import Images
from modelkin.errors import ModelkinError, Undefined
from modelkin.networks import classifier
from modelkin.study.config import Study


def linear(size=3, classes=3, seed=0, bias=0.0):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(size**2, classes))
    with torch.no_grad():
        network[1].bias += bias
    return classifier.frozen(classifier.Classifier(network, "1", [0.5], [0.5], size))


def probe(n=30, size=3, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.random((n, 1, size, size)).astype(np.float32)
    ids = np.array([f"i{k}" for k in range(n)])
    return Images(pixels, rng.integers(0, classes, n), ids, [f"{c}" for c in range(classes)])


def class_of(model, point):
    with torch.no_grad():
        return int(model(torch.tensor(point, dtype=torch.float32).view(1, 1, 3, 3)).argmax())


# planes


def test_a_plane_holds_its_three_images_and_a_tenth_more():
    """Every point by the definition, image by image, in float64."""
    model, given, grid = linear(), probe(), 7
    found = boundaries.decision_regions_of(model, given, np.random.default_rng(3), triplets=5, grid=grid)
    rng = np.random.default_rng(3)
    for row, sample in enumerate(found["sample"].to_numpy()):
        rows = rng.choice(30, 3, replace=False)
        assert sample == "+".join(given.ids[rows])
        x1, x2, x3 = given.pixels[rows].reshape(3, -1).astype(float)
        side = np.linalg.norm(x2 - x1)
        e1 = (x2 - x1) / side
        shadow = (x3 - x1) @ e1
        e2 = (x3 - x1) - shadow * e1
        low, high = min(0, shadow), max(side, shadow)
        steps = np.linspace(-0.1, 1.1, grid)
        expected = [
            class_of(model, np.clip(x1 + up * e2 + (low + along * (high - low)) * e1, 0, 1))
            for up, along in itertools.product(steps, steps)
        ]
        assert found["regions"][row].to_numpy().tolist() == expected
    assert len(np.unique(found["regions"])) > 1, "all points are of one class, so this tests nothing"


def test_a_planes_own_images_are_among_its_points():
    """In steps of a tenth of its sides, where the third image's shadow falls on the first side."""
    x = torch.tensor([[0.2, 0.2, 0.0], [0.8, 0.2, 0.0], [0.5, 0.9, 0.0]]).view(3, 1, 1, 3)
    points = torch.cat(list(boundaries._plane(x, 13, 3))).flatten(1)
    for corner in x.flatten(1):
        assert float((points - corner).abs().amax(1).min()) < 1e-6


def test_the_same_image_thrice_is_a_point():
    corners = torch.tensor(probe(1).pixels).expand(3, -1, -1, -1)
    points = torch.cat(list(boundaries._plane(corners, 4, 3)))
    assert torch.allclose(points, corners[:1].expand(16, -1, -1, -1))


def test_decision_regions_is_the_share_of_equal_points():
    a, b = (np.random.default_rng(s).integers(0, 3, (6, 25)) for s in (0, 1))
    found = compare("decision_regions", a, b)
    assert found.value == pytest.approx((a == b).mean())
    assert found.stderr == pytest.approx((a == b).mean(1).std(ddof=1) / 6**0.5)


# distances


@pytest.mark.parametrize("direction", ["other_class", "random", "gradient"])
def test_distances_are_those_to_a_linear_boundary(direction):
    """Of two classes: the point at which the logits' difference changes its sign, solved."""
    model, given = linear(classes=2), probe(classes=2)
    settings = {"samples": 10, "direction": direction, "steps": 16}
    found = boundaries.boundary_distances_of(model, given, np.random.default_rng(5), **settings)[
        "distances"
    ].to_numpy()
    few = given.spread(10)
    weight, bias = (
        value.detach().double().numpy() for value in (model.network[1].weight, model.network[1].bias)
    )
    w, b = weight[1] - weight[0], bias[1] - bias[0]
    drawn = np.random.default_rng(5).normal(size=few.pixels.shape).reshape(10, -1)
    crossed = 0
    for k, (x, y) in enumerate(zip(few.pixels.reshape(10, -1).astype(float), few.labels, strict=True)):
        others = given.pixels[given.labels != y].reshape(-1, 9).astype(float)
        way = others[np.linalg.norm(others - x, axis=1).argmin()] - x
        reach = np.linalg.norm(way)
        # Of two classes the loss rises along the difference of their weights, away from the true one.
        way = {"other_class": way, "random": drawn[k], "gradient": w if y == 0 else -w}[direction]
        way = way / np.linalg.norm(way)

        def difference(t, x=x, way=way):
            return w @ ((np.clip(x + t * way, 0, 1) - 0.5) / 0.5) + b

        right = (difference(0) > 0) == bool(y)
        assert bool(found[k, 0]) == right
        ts = np.linspace(0, reach, 20001)[1:]
        wrong = [(difference(t) > 0) != bool(y) for t in ts]
        expected = ts[np.argmax(wrong)] if any(wrong) else reach
        if right:
            assert found[k, 1] == pytest.approx(expected, abs=reach / 2000)
            crossed += any(wrong)
    assert crossed > 0, "no boundary was crossed, so this tests nothing"


def test_along_its_own_gradient_a_linear_models_boundary_is_nearest():
    model, given = linear(classes=2), probe(classes=2)

    def distance(direction):
        settings = {"samples": 30, "direction": direction, "steps": 64}
        found = boundaries.boundary_distances_of(model, given, np.random.default_rng(5), **settings)[
            "distances"
        ]
        return found.to_numpy()[found[:, 0] > 0, 1]

    assert (distance("gradient") <= distance("random") + 1e-3).all()
    assert (distance("gradient") <= distance("other_class") + 1e-3).mean() > 0.9  # walls of [0, 1] bend ways


def test_where_the_loss_is_flat_no_boundary_is_found():
    model, given = linear(classes=2), probe(classes=2)
    with torch.no_grad():
        model.network[1].weight.zero_()
    settings = {"samples": 10, "steps": 4}
    flat, far = (
        boundaries.boundary_distances_of(model, given, np.random.default_rng(0), direction=way, **settings)[
            "distances"
        ]
        for way in ("gradient", "other_class")
    )
    assert np.array_equal(flat, far)
    assert np.isfinite(flat).all()


def test_distances_need_another_class():
    given = probe()
    alone = Images(given.pixels, np.zeros(30, int), given.ids, given.classes)
    with pytest.raises(ModelkinError, match="has images of one only"):
        boundaries.boundary_distances_of(
            linear(), alone, np.random.default_rng(0), samples=5, direction="other_class", steps=2
        )


def test_boundary_distance_is_over_images_that_both_get_right():
    a, b = (
        np.stack([rng.random(40) < 0.7, rng.random(40)], axis=1) for rng in map(np.random.default_rng, (0, 1))
    )
    both = (a[:, 0] > 0) & (b[:, 0] > 0)
    apart = np.abs(a[:, 1] - b[:, 1])[both]
    found = compare("boundary_distance", a, b)
    assert (found.value, found.n) == (pytest.approx(apart.mean()), both.sum())
    assert found.stderr == pytest.approx(apart.std(ddof=1) / len(apart) ** 0.5)
    a[:20, 0], b[20:, 0] = 0, 0
    with pytest.raises(Undefined, match="no image is classified correctly by both"):
        compare("boundary_distance", a, b)
    a[25, 0] = b[25, 0] = 1
    assert math.isnan(compare("boundary_distance", a, b).stderr)


def test_a_model_that_returns_nan_is_refused():
    broken = linear(bias=float("nan"))
    for make, settings in (
        (boundaries.decision_regions_of, {"triplets": 2, "grid": 3}),
        (boundaries.boundary_distances_of, {"samples": 5, "direction": "random", "steps": 2}),
    ):
        with pytest.raises(ModelkinError, match="NaN or infinite values near images"):
            make(broken, probe(), np.random.default_rng(0), **settings)


# the shortcut


def outcomes_of(names, n=80, seed=0):
    rng = np.random.default_rng(seed)
    right = {name: rng.random(n) < 0.8 for name in names}
    fooled = {(a, b): rng.random(n) < rng.random() for a in names for b in names}
    return right, fooled


def test_the_shortcut_is_equation_1_of_one_direction():
    right, fooled = outcomes_of("abcd")
    rows = shortcut_pairs(right, fooled).set_index(["model_a", "model_b"])
    assert len(rows) == 12
    for (a, b), row in rows.iterrows():
        both = right[a] & right[b]
        one, other = fooled[a, b][both], fooled[b, a][both]
        assert row["n"] == both.sum()
        assert row["shortcut"] == pytest.approx(math.log(100 * one.mean()))
        assert row["full"] == pytest.approx(math.log(50 * (one.mean() + other.mean())))
        assert row["error"] == pytest.approx(row["shortcut"] - row["full"])
        assert row["full"] == pytest.approx(rows.loc[(b, a), "full"])
    told = shortcut_models(rows.reset_index(), dict.fromkeys("abcd", 0.9) | {"d": None}).set_index("model")
    mine = rows.loc["a"]
    assert told.loc["a", "mean_absolute_error"] == pytest.approx(mine["error"].abs().mean())
    assert told.loc["a", "spearman"] == pytest.approx(mine["shortcut"].rank().corr(mine["full"].rank()))
    assert told["pairs"].tolist() == [3] * 4
    assert math.isnan(told.loc["d", "attack_success"])


def test_two_other_models_have_no_ranks_and_models_stand_as_in_the_study():
    right, fooled = outcomes_of("cab")
    told = shortcut_models(shortcut_pairs(right, fooled), dict.fromkeys("abc", 1.0))
    assert told["model"].tolist() == list("cab")
    assert told["pairs"].tolist() == [2] * 3
    assert told["spearman"].isna().all(), "of two, ranks agree or do not whatever the models"


def test_the_shortcut_of_a_model_right_on_nothing_is_unknown():
    right, fooled = outcomes_of("abc")
    right["c"][:] = False
    told = shortcut_models(shortcut_pairs(right, fooled), dict.fromkeys("abc", 1.0)).set_index("model")
    assert told.loc["c", "pairs"] == 0
    assert math.isnan(told.loc["c", "mean_absolute_error"])
    assert math.isnan(told.loc["a", "spearman"]), "one pair has no ranks"


# draws


def test_draws_share_no_sample_and_are_the_same_for_all_models():
    x = {name: np.random.default_rng(i).normal(size=(31, 4)) for i, name in enumerate("abc")}

    def read(run, what):
        return xr.DataArray(x[run.observer], dims=("sample", "class"), coords={"sample": np.arange(31)})

    wanted = [Pair("natural", "d", a, b) for a, b in itertools.combinations_with_replacement("abc", 2)]
    rows = resampled_rows(wanted, read, [measures.ConfiguredMeasure("agreement")], repeats=3, seed=0)
    assert rows["n"].groupby(rows["draw"]).first().tolist() == [11, 10, 10]
    whole = similarity.similarity_rows(
        wanted, read, [measures.ConfiguredMeasure("agreement")], permutations=0, seed=0
    )
    for row in whole.itertuples():
        parts = rows[(rows["model_a"] == row.model_a) & (rows["model_b"] == row.model_b)]
        # Dealt out without rest or repetition, the draws' counts add up to the whole's.
        assert (parts["value"] * parts["n"]).sum() == pytest.approx(row.value * row.n)


def test_spread_is_the_variance_over_draws_beside_that_over_pairs():
    rng = np.random.default_rng(0)
    pairs = list(itertools.combinations("abcde", 2))
    level = rng.normal(size=len(pairs))
    noise = 0.1 * rng.normal(size=(4, len(pairs)))
    rows = pd.DataFrame(
        [
            {"kind": "natural", "measure": "m", "model_a": a, "model_b": b, "draw": d, "n": 9, "value": v}
            for d in range(4)
            for (a, b), v in zip(pairs, level + noise[d], strict=True)
        ]
        + [{"kind": "natural", "measure": "m", "model_a": "a", "model_b": "a", "draw": 0, "n": 9, "value": 9}]
    )
    rows.loc[0, "value"] = np.nan
    (found,) = resampling_variance(rows).to_dict("records")
    values = (level + noise)[:, 1:]
    assert found["variance"] == pytest.approx(values.var(axis=0, ddof=1).mean())
    assert found["pair_variance"] == pytest.approx(values.mean(0).var(ddof=1))
    assert found["ratio"] == pytest.approx(found["variance"] / found["pair_variance"])
    assert found["spearman"] > 0.9
    assert (found["pairs"], found["draws"], found["samples"]) == (9, 4, 9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"draws": {"repeats": 4}}, "4 repeats leave 1 samples to decision_regions, which needs 2"),
        ({"draws": {"repeats": 1}}, "at least 2"),
        ({"boundaries": {"grid": 1}}, "at least 2"),
        ({"boundaries": {"direction": "adversarial"}}, "unknown boundaries.direction"),
        (
            {"draws": {"repeats": 3}, "measures": ["linear_cka", {"name": "knn_jaccard", "k": 20}]},
            "3 repeats leave 20 samples to knn_jaccard-k20, which needs 21",
        ),
    ],
)
def test_wrong_configs(change, said):
    with pytest.raises(ModelkinError, match=said):
        Study({**TINY, **change})


def test_only_what_measures_need_is_asked():
    found = Study({**TINY, "measures": ["linear_cka", "decision_regions"], "boundaries": {}})
    assert found.boundaries == {"regions": {"triplets": 60, "grid": 50}}
    assert Study({**TINY, "measures": ["linear_cka"]}).boundaries == {}


def test_a_measure_rests_on_boundaries_or_on_activations():
    """So that asking for boundaries later recomputes no other measure, whatever the study is called."""
    folder = "results/boundaries"
    of_boundaries, of_activations = f"{folder}/boundaries/m.json", f"{folder}/activations/natural/m.json"
    for name in measures.names():
        own = name in ("decision_regions", "boundary_distance")
        assert measures.takes_artifact(name, of_boundaries) == own
        assert measures.takes_artifact(name, of_activations) != own


def test_two_known_values_make_no_rank_correlation():
    rows = pd.DataFrame(
        {"model_a": "a", "model_b": list("bcd"), "shortcut": [1.0, 2.0, np.nan], "full": [1.0, 2.0, np.nan]}
    ).assign(error=0.0)
    told = shortcut_models(rows, {"a": 1.0}).set_index("model").loc["a"]
    assert told["pairs"] == 2
    assert np.isnan(told["spearman"])
