"""Standard errors beside how much values vary over repeated draws from known populations."""

import numpy as np
import pytest
import torch

from modelkin.comparison import measures

DRAWS = 150  # the spread over so many is known to 6 %
MIX = np.random.default_rng(3).normal(size=(64, 64))


def linear(rng, n, p):
    """Two noisy linear views of the same p factors."""
    factors = rng.normal(size=(n, p))
    return [factors @ part + 2 * rng.normal(size=(n, p)) for part in (MIX[:p, :p], MIX[-p:, -p:])]


def rectified(rng, n, p):
    """Two noisy views, after a ReLU, of factors in groups."""
    factors = rng.normal(size=(n, p)) + 3 * np.eye(p)[rng.integers(0, p, n)]
    return [
        np.maximum(factors @ part, 0) + 0.5 * rng.normal(size=(n, p)) for part in (MIX[:p, :p], MIX[-p:, -p:])
    ]


def blobs(rng, n, p):
    """The same groups of samples with noise of their own in each view."""
    factors = rng.normal(size=(n, p)) + 1.5 * np.eye(p)[rng.integers(0, 5, n)]
    return [factors + 0.7 * rng.normal(size=(n, p)) for _ in range(2)]


def of_two_noises(rng, n, p):
    """Half of the samples nearly the same in both views, the others hardly."""
    factors, scale = rng.normal(size=(n, p)), np.where(rng.random(n) < 0.5, 0.1, 2)[:, None]
    return [factors + scale * rng.normal(size=(n, p)) for _ in range(2)]


def nothing(rng, n, p):
    """Two views with nothing in common."""
    return [rng.normal(size=(n, p)) for _ in range(2)]


@pytest.mark.parametrize(
    ("name", "population", "n", "p", "low", "high"),
    [
        ("pwcca", linear, 60, 6, 0.85, 1.25),
        ("pwcca", rectified, 200, 5, 0.8, 1.15),
        ("pwcca", linear, 200, 20, 0.8, 1.15),
        ("linear_cka", linear, 200, 5, 0.85, 1.25),
        ("knn_jaccard", blobs, 60, 10, 0.8, 1.25),
        ("knn_jaccard", blobs, 200, 10, 0.8, 1.25),
        ("knn_jaccard", rectified, 200, 5, 0.8, 1.25),
        ("mutual_knn", blobs, 60, 10, 0.8, 1.25),
        ("mutual_knn", linear, 200, 20, 0.8, 1.25),
        ("mutual_knn", of_two_noises, 200, 5, 0.8, 1.25),
        ("knn_jaccard", nothing, 200, 10, 0.8, 1.25),
    ],
)
def test_an_error_beside_the_spread_over_draws(name, population, n, p, low, high):
    rng, measure = np.random.default_rng(0), measures.get(name)
    found = []
    for _ in range(DRAWS):
        a, b = (measure.prepare(torch.tensor(view)) for view in population(rng, n, p))
        found.append(measure.compare(a, b)[:2])
    values, errors = np.array(found).T
    assert low < errors.mean() / values.std(ddof=1) < high
