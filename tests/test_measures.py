"""Measures against the definition written out, their invariances, and bad input."""

import numpy as np
import pytest
import torch

from modelkin import measures
from modelkin.errors import ModelkinError


def cka_by_definition(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)


def estimate(name, x, y):
    measure = measures.get(name)
    return measure.compare(measure.prepare(torch.tensor(x)), measure.prepare(torch.tensor(y)))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6))
    return x, x[:, :4] @ rng.normal(size=(4, 5)) + rng.normal(size=(40, 5))


def test_linear_cka_is_its_definition(pair):
    assert estimate("linear_cka", *pair).value == pytest.approx(cka_by_definition(*pair), abs=1e-12)


def test_linear_cka_jackknife_is_brute_force(pair):
    x, y = pair
    left = [cka_by_definition(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(len(x))]
    brute = np.sqrt((len(x) - 1) * np.var(left))
    assert estimate("linear_cka", x, y).stderr == pytest.approx(brute, rel=1e-10)


def test_unknown_measure_names_the_nearest():
    with pytest.raises(ModelkinError, match="did you mean 'linear_cka'"):
        measures.get("liner_cka")


@pytest.mark.parametrize("bad", [np.full((5, 3), np.nan), np.ones((5, 3)), np.ones((1, 3))])
def test_degenerate_representations_are_refused(bad):
    with pytest.raises(ModelkinError):
        estimate("linear_cka", bad, np.random.default_rng(0).normal(size=(5, 3)))
