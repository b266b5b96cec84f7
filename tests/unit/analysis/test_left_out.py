"""Intervals over models: by the definition, and by how often they hold what they should."""

import itertools

import numpy as np
import pytest
from scipy import stats

from modelkin.analysis import left_out

pytestmark = pytest.mark.filterwarnings("error")


def test_each_model_is_left_out_once():
    rng = np.random.default_rng(0)
    sets = [",".join(pair) for pair in itertools.combinations("abcdef", 2)]
    values = rng.random(len(sets))
    means = [np.mean([v for v, s in zip(values, sets, strict=True) if name not in s]) for name in "abcdef"]
    variance = 5 / 6 * sum((mean - np.mean(means)) ** 2 for mean in means)
    half = stats.t.ppf(0.975, 5) * np.sqrt(variance)
    assert left_out.interval(values, sets) == pytest.approx((values.mean() - half, values.mean() + half))
    unknown = [np.nan, *values], ["a,z", *sets]
    assert left_out.interval(*unknown) == pytest.approx(left_out.interval(values, sets))


def test_names_within_names_are_other_models():
    sets = [f"m{a},m{b}" for a, b in itertools.combinations([1, 11, 2, 22, 3, 33], 2)]
    plain = [f"{a},{b}" for a, b in itertools.combinations("abcdef", 2)]
    values = np.arange(15.0)
    assert left_out.interval(values, sets) == pytest.approx(left_out.interval(values, plain))


@pytest.mark.parametrize(
    "sets",
    [
        [",".join(pair) for pair in itertools.combinations("abcd", 2)],  # four models
        [f"a,{other}" for other in "bcdefg"],  # one of them in all draws
        [],
    ],
)
def test_nothing_is_said_where_models_cannot_be_left_out(sets):
    assert np.isnan(left_out.interval(np.arange(len(sets)), sets)).all()


@pytest.mark.parametrize(("models", "size", "draws"), [(6, 3, 60), (10, 2, 60), (20, 4, 60)])
def test_intervals_hold_what_other_models_would_give(models, size, draws):
    """Gains of a model's own and of each pair, of a population where the mean is 0."""
    rng, held, trials = np.random.default_rng(0), 0, 150
    names = [f"m{i}" for i in range(models)]
    for _ in range(trials):
        own, pair = rng.normal(size=models), 0.3 * rng.normal(size=(models, models))
        chosen = [np.sort(rng.choice(models, size, replace=False)) for _ in range(draws)]
        values = [
            own[each].mean() + np.mean([pair[i, j] for i, j in itertools.combinations(each, 2)])
            for each in chosen
        ]
        low, high = left_out.interval(values, [",".join(names[i] for i in each) for each in chosen])
        held += low < 0 < high
    assert 0.89 < held / trials < 0.99
    # By the number of draws they would hold it far too seldom.
    assert np.std(values) / np.sqrt(draws) * 4 < high - low
