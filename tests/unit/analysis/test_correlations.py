"""Correlations of outcomes with similarity: against scipy, a bootstrap written out, and of nothing."""

import itertools

import numpy as np
import pandas as pd
import planted
import pytest
from planted import rows_of
from scipy import stats

from modelkin.analysis import correlations, ensembles

pytestmark = pytest.mark.filterwarnings("error")
GAIN = "error_reduction_rate"


@pytest.fixture
def pairs():
    labels = planted.labels()
    return ensembles.pair_ensembles(planted.logits(labels), labels)


@pytest.fixture
def near():
    return planted.near()


def test_correlations_are_those_of_scipy(pairs, near):
    table = pd.concat([rows_of(near), rows_of(near, "inverted"), rows_of(near.T**2, "inverted", "agreement")])
    made = correlations.with_similarity(pairs, table.sample(frac=1, random_state=0), GAIN)
    made = made.set_index(["kind", "measure"])
    places = [
        ("abcdef".index(a), "abcdef".index(b))
        for a, b in zip(pairs["model_a"], pairs["model_b"], strict=True)
    ]
    expected = {
        ("natural", "cka"): [near[i, j] for i, j in places],
        ("inverted", "cka"): [(near[i, j] + near[j, i]) / 2 for i, j in places],
        ("inverted", "agreement"): [(near[i, j] ** 2 + near[j, i] ** 2) / 2 for i, j in places],
    }
    assert set(made.index) == set(expected)
    y = pairs["error_reduction_rate"]
    for key, x in expected.items():
        pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
        found = made.loc[key]
        assert found["pearson"] == pytest.approx(pearson.statistic)
        assert found["spearman"] == pytest.approx(spearman.statistic)
        assert found["n"] == 15
        assert found["pearson"] < -0.5, "models that err alike gain less"


def test_p_values_permute_models():
    """Against all permutations, written out: pairs that share a model are no evidence of their own."""
    rng = np.random.default_rng(5)
    names = list("abcdef")
    x, y = (rng.random((6, 6)) for _ in range(2))
    upper = np.triu_indices(6, 1)
    outcomes = pd.DataFrame(list(itertools.combinations(names, 2)), columns=["model_a", "model_b"])
    outcomes[GAIN] = y[upper]
    whole = np.triu(y, 1) + np.triu(y, 1).T
    table = rows_of(np.triu(x, 1) + np.triu(x, 1).T + np.eye(6))
    made = correlations.with_similarity(outcomes, table, GAIN, permutations=4000).iloc[0]
    for name, of in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        every = [
            abs(of(x[upper], whole[np.ix_(order, order)][upper])[0])
            for order in itertools.permutations(range(6))
        ]
        assert made[f"{name}_p"] == pytest.approx(np.mean(np.array(every) >= every[0] - 1e-9), abs=0.04)


def test_teachers_of_one_student_are_permuted():
    rng = np.random.default_rng(5)
    teachers = list("abcdefgh")
    x, y = rng.random((2, 8))
    outcomes = pd.DataFrame({"model_a": teachers, "model_b": "s", GAIN: y})
    table = outcomes[["model_a", "model_b"]].assign(
        kind="natural", measure="cka", value=x, stderr=0.1, source="x"
    )
    made = correlations.with_similarity(outcomes, table, GAIN, permutations=4000).iloc[0]
    expected = stats.permutation_test(
        (x,), lambda x: stats.pearsonr(x, y)[0], permutation_type="pairings", n_resamples=4000, rng=0
    )
    assert made["pearson_p"] == pytest.approx(expected.pvalue, abs=0.05)


def test_failed_inversions_are_left_out_beside(near, pairs):
    table = rows_of(near, "inverted").assign(inversion_failed=lambda rows: rows["model_a"] == "a")
    made = correlations.with_similarity(pairs, table, GAIN).iloc[0]
    without = pairs.query("model_a != 'a' and model_b != 'a'")
    expected = correlations.with_similarity(without, rows_of(near, "inverted"), GAIN).iloc[0]
    assert (made["n"], made["n_inverted"]) == (15, 10)
    assert made["pearson_inverted"] == pytest.approx(expected["pearson"])
    assert made["pearson"] != pytest.approx(expected["pearson"])


def test_intervals_resample_models(near):
    """Against a bootstrap written out: pairs of a model with itself are no pairs."""
    names = list("abcdef")
    table = rows_of(near)
    rng = np.random.default_rng(3)
    outcomes = pd.DataFrame(list(itertools.combinations(names, 2)), columns=["model_a", "model_b"])
    x = np.array([near[names.index(a), names.index(b)] for a, b in outcomes.to_numpy()])
    outcomes["gain"] = -x + 0.1 * rng.normal(size=15)
    y = outcomes["gain"].to_numpy()
    made = correlations.with_similarity(outcomes, table, "gain", resamples=500, seed=5).iloc[0]
    counts = np.random.default_rng(5).multinomial(6, np.full(6, 1 / 6), 500)
    places = list(itertools.combinations(range(6), 2))
    for name, (u, v) in {"pearson": (x, y), "spearman": (stats.rankdata(x), stats.rankdata(y))}.items():
        found = []
        for count in counts:
            kept = [number for number, (i, j) in enumerate(places) for _ in range(count[i] * count[j])]
            if len(set(u[kept])) > 1:  # else there is no spread
                found.append(np.corrcoef(u[kept], v[kept])[0, 1])
        assert 100 < len(found) <= 500
        assert [made[f"{name}_low"], made[f"{name}_high"]] == pytest.approx(
            np.quantile(found, [0.025, 0.975]).tolist()
        )


def test_resamples_without_a_model_of_every_pair_say_nothing():
    """As in distillation, where the student is in every pair."""
    near = np.eye(6)
    near[:, 2] = near[2] = [0.1, 0.2, 1, 0.3, 0.4, 0.5]
    students = pd.DataFrame({"model_a": list("abdef"), "model_b": "c", "student_accuracy": [5, 4, 3, 2, 0]})
    made = correlations.with_similarity(students, rows_of(near), "student_accuracy").iloc[0]
    assert -1 <= made["pearson_low"] <= made["pearson"] <= made["pearson_high"] < -0.9


def test_any_outcome_of_pairs_can_be_correlated():
    """As in distillation: the pairs (teacher, student) stand in neither order of the table."""
    near = np.eye(6)
    near[:, 2] = near[2] = [0.1, 0.2, 1, 0.3, 0.4, 0.5]
    students = pd.DataFrame({"model_a": list("abdef"), "model_b": "c", "student_accuracy": [5, 4, 3, 2, 0]})
    made = correlations.with_similarity(students, rows_of(near), outcome="student_accuracy").iloc[0]
    assert made["spearman"] == pytest.approx(-1)
    assert made["pearson"] == pytest.approx(stats.pearsonr([0.1, 0.2, 0.3, 0.4, 0.5], [5, 4, 3, 2, 0])[0])
    assert made["n"] == 5


@pytest.mark.parametrize("case", ["constant", "constant but for rounding", "constant outcome", "two pairs"])
def test_nothing_to_correlate_is_nan(pairs, near, case):
    if case == "constant":
        near = np.full((6, 6), 0.3)
    elif case == "constant but for rounding":
        near = 1 - 1e-15 * near
    elif case == "constant outcome":
        pairs["error_reduction_rate"] = 0.0
    else:
        pairs = pairs[2:4]  # of different similarity
    made = correlations.with_similarity(pairs, rows_of(near), GAIN).iloc[0]
    assert made[["pearson", "pearson_p", "spearman", "spearman_p"]].isna().all()
    assert made["n"] == len(pairs)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pairs_without_a_value_are_left_out(pairs, near, value):
    expected = correlations.with_similarity(pairs[2:], rows_of(near), GAIN)
    near[0, 1] = value
    pairs.loc[1, "error_reduction_rate"] = np.nan
    made = correlations.with_similarity(pairs, rows_of(near), GAIN)
    assert made.loc[0, "n"] == 13
    # Models are permuted with all that is known of them, so that p-values are of more pairs.
    permuted = ["pearson_p", "spearman_p"]
    pd.testing.assert_frame_equal(made.drop(columns=permuted), expected.drop(columns=permuted))


def test_partial_correlation_is_that_of_residuals():
    rng = np.random.default_rng(0)
    z = rng.normal(size=30)
    x, y = z + rng.normal(size=30), 2 * z + rng.normal(size=30)
    made = correlations.partial(x, y, z)
    r = np.corrcoef(np.stack([x, y, z]))
    by_hand = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert made["partial"] == pytest.approx(by_hand)
    # One degree of freedom less than a plain correlation of 30 values: that of 29.
    t = by_hand * np.sqrt(27 / (1 - by_hand**2))
    assert made["partial_p"] == pytest.approx(2 * stats.t.sf(abs(t), 27))
    assert correlations.partial(x, y, np.ones(30))["partial"] == pytest.approx(r[0, 1])


@pytest.mark.parametrize("case", ["few", "constant", "control is all"])
def test_partial_correlation_of_nothing_is_nan(case):
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 3 if case == "few" else 9))
    if case == "constant":
        x[:] = 0.4
    if case == "control is all":
        x = 3 * z
    assert np.isnan(correlations.partial(x, y, z)["partial"])
