"""RSA, SVCCA, PWCCA, CKA with an RBF kernel, mutual k-NN and GULP against libraries or their definitions."""

import numpy as np
import pytest
import torch
from contracts import two_arrays as arrays
from scipy.linalg import inv, sqrtm, subspace_angles
from scipy.spatial.distance import cdist, pdist
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

from modelkin import compare
from modelkin.comparison import measures
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.errors import ModelkinError, Undefined
from modelkin.figures.base import describe

SQUARE = ["rsa", "rbf_cka"]
CANONICAL = ["svcca", "pwcca"]


def value(name, x, y, **settings):
    return compare(name, x, y, **settings).value


def test_rsa():
    x, y = arrays()
    expected = spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic
    assert value("rsa", x, y) == pytest.approx(expected, abs=1e-10)
    tied = [np.concatenate([part[:20], part[:20]]) for part in (x, y)]  # each distance four times
    expected = spearmanr(*(pdist(part, "correlation").round(12) for part in tied)).statistic
    assert value("rsa", *tied) == pytest.approx(expected, abs=1e-10)


def test_rsa_of_a_sample_without_differences_between_features():
    x, y = arrays()
    x[3] = 0.5
    with np.errstate(invalid="ignore"):
        dissimilar = np.nan_to_num(pdist(x, "correlation"), nan=1.0)
    expected = spearmanr(dissimilar, pdist(y, "correlation")).statistic
    assert value("rsa", x, y) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("bandwidth", [20, 50, 100])
def test_rbf_cka(bandwidth):
    def centred_kernel(x):
        sigma = bandwidth / 100 * np.median(pdist(x))
        kernel, centre = rbf_kernel(x, gamma=1 / (2 * sigma**2)), np.eye(len(x)) - 1 / len(x)
        return centre @ kernel @ centre

    for n in (40, 41):  # an even and an odd number of distances
        x, y = arrays(n)
        k, l = centred_kernel(x), centred_kernel(y)  # noqa: E741
        expected = np.trace(k @ l) / np.sqrt(np.trace(k @ k) * np.trace(l @ l))
        assert value("rbf_cka", x, y, bandwidth=bandwidth) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("k", [1, 5, 39])
def test_mutual_knn(k):
    def neighbours(x):
        found = NearestNeighbors(n_neighbors=k, metric="cosine").fit(x)
        return [set(row) for row in found.kneighbors(return_distance=False)]

    x, y = (part + 1 for part in arrays())
    expected = np.mean([len(a & b) / k for a, b in zip(neighbours(x), neighbours(y), strict=True)])
    assert value("mutual_knn", x, y, k=k) == pytest.approx(expected, abs=1e-12)
    # Rows are not centred first, as those of knn_jaccard are.
    assert k == 39 or value("mutual_knn", x, x - x.mean(0), k=k) < 1


def components(x, percent):
    """The fewest principal components that hold so much variance, by scikit-learn."""
    every = PCA().fit(x)
    kept = np.searchsorted(every.explained_variance_ratio_.cumsum(), percent / 100 - 1e-12) + 1
    return every.transform(x)[:, :kept]


@pytest.mark.parametrize("variance", [60, 99, 100])
def test_svcca(variance):
    x, y = arrays(60, 12, 9)
    cosines = np.cos(subspace_angles(components(x, variance), components(y, variance)))
    assert value("svcca", x, y, variance=variance) == pytest.approx(cosines.mean(), abs=1e-10)
    if variance == 60:
        assert len(cosines) < 9


def pwcca_by_definition(x, y):
    """Morcos et al. (2018), Section 2.2, with canonical variates from the roots of the covariances."""
    x, y = x - x.mean(0), y - y.mean(0)
    root_x, root_y = (np.real(inv(sqrtm(part.T @ part))) for part in (x, y))
    left, rho, _ = np.linalg.svd(root_x @ x.T @ y @ root_y, full_matrices=False)
    weights = np.abs((x @ root_x @ left).T @ x).sum(1)
    return weights @ rho / weights.sum()


def test_pwcca():
    x, y = arrays()
    expected = (pwcca_by_definition(x, y) + pwcca_by_definition(y, x)) / 2
    assert value("pwcca", x, y) == pytest.approx(expected, abs=1e-10)
    assert pwcca_by_definition(x, y) != pytest.approx(pwcca_by_definition(y, x), abs=1e-3)


@pytest.mark.parametrize("exponent", [1, 2, 5])
def test_gulp(exponent):
    x, y = arrays()
    a, b = (
        (part - part.mean(0)) * np.sqrt(len(part)) / np.linalg.norm(part - part.mean(0)) for part in (x, y)
    )
    s, t, c = a.T @ a / 40, b.T @ b / 40, a.T @ b / 40
    p, q = (np.linalg.inv(part + 10.0**-exponent * np.eye(len(part))) for part in (s, t))
    squared = np.trace(p @ s @ p @ s) + np.trace(q @ t @ q @ t) - 2 * np.trace(p @ c @ q @ c.T)
    assert value("gulp", x, y, exponent=exponent) == pytest.approx(np.sqrt(squared), abs=1e-9)
    # What it says of predictions, of an orthonormal set of targets.
    ridge = Ridge(alpha=40 * 10.0**-exponent, fit_intercept=False)
    told = [ridge.fit(part, np.sqrt(40) * np.eye(40)).predict(part) for part in (a, b)]
    assert squared == pytest.approx(np.mean((told[0] - told[1]) ** 2, axis=0).sum(), abs=1e-9)


# standard errors


@pytest.mark.parametrize(
    ("name", "n", "off"),
    [("rsa", 40, 0.15), ("rbf_cka", 40, 0.15), ("svcca", 60, 0.25), ("pwcca", 200, 0.2), ("gulp", 60, 0.25)],
)
def test_standard_errors_are_nearly_the_jackknife(name, n, off):
    x, y = arrays(n)
    left_out = [value(name, np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(n)]
    assert compare(name, x, y).stderr == pytest.approx(np.sqrt((n - 1) * np.var(left_out)), rel=off)


@pytest.mark.parametrize("name", SQUARE)
def test_jackknife_is_exact_where_ranks_and_bandwidth_stay(name):
    x, y = arrays(30)
    measure = measures.get(name)
    a, b = (measure.prepare(torch.tensor(part)) for part in (x, y))
    key = next(iter(a))
    left_out = []
    for i in range(30):
        k, l = (np.delete(np.delete(part[key].numpy(), i, 0), i, 1) for part in (a, b))  # noqa: E741
        if name == "rsa":
            above = np.triu_indices(29, 1)
            left_out.append(np.corrcoef(k[above], l[above])[0, 1])
        else:
            centre = np.eye(29) - 1 / 29
            k, l = centre @ k @ centre, centre @ l @ centre  # noqa: E741
            left_out.append((k * l).sum() / np.linalg.norm(k) / np.linalg.norm(l))
    assert compare(name, x, y).stderr == pytest.approx(np.sqrt(29 * np.var(left_out)), rel=1e-9)


@pytest.mark.parametrize("name", ["mutual_knn", "rsa", "rbf_cka", "svcca", "pwcca", "gulp"])
def test_unrelated_models_are_at_their_chance_level(name):
    """Permuting one model's samples gives what unrelated models have, whatever that is for the measure."""
    rng = np.random.default_rng(0)
    measure = measures.get(name)
    a, b = (measure.prepare(torch.tensor(part)) for part in rng.normal(size=(2, 80, 5)))
    orders = [torch.tensor(rng.permutation(80)) for _ in range(30)]
    chance = [measure.compare(a, measure.permuted(b, order)).value for order in orders]
    assert abs(measure.compare(a, b).value - np.mean(chance)) < 4 * np.std(chance)


# failures


def test_rsa_where_no_sample_is_more_dissimilar_than_another():
    _, y = arrays()
    with pytest.raises(Undefined, match="equally dissimilar"):
        value("rsa", np.eye(40), y)
    with pytest.raises(Undefined, match="equally dissimilar"):
        value("rsa", y[:, :1], y)  # one feature has no correlation over features
    with pytest.raises(ModelkinError, match="three samples, not 2"):
        value("rsa", y[:2], y[:2])
    assert np.isnan(compare("rsa", y[:4], y[:4] ** 2).stderr)
    assert np.isfinite(compare("rsa", y[:5], y[:5] ** 2).stderr)


def test_rbf_cka_of_copies():
    x, y = arrays()
    x[5:] = x[5]
    with pytest.raises(Undefined, match="median distance of two samples is 0"):
        value("rbf_cka", x, y)
    x, _ = arrays()
    assert 0 < value("rbf_cka", np.concatenate([x[:20]] * 2), y) < 1
    assert np.isnan(compare("rbf_cka", x[:3], y[:3]).stderr)


def test_mutual_knn_of_copies_and_zeros():
    x, _ = arrays(20)
    lists = measures.get("mutual_knn").prepare(torch.tensor(np.concatenate([x, x])), k=3)["neighbours"]
    assert not (lists == torch.arange(40)[:, None]).any()
    assert (lists[:20] == torch.arange(20, 40)[:, None]).any(1).all()
    x[4] = 0
    cosines = 1 - cdist(x, x, "cosine")
    assert np.isnan(cosines[4]).all()
    assert 0 < value("mutual_knn", x, x**3) <= 1


@pytest.mark.parametrize("name", CANONICAL)
def test_canonical_correlations_of_too_few_samples_are_undefined(name):
    settings = {"variance": 100} if name == "svcca" else {}
    x, y = arrays(12)
    with pytest.raises(Undefined, match="6 and 5 directions need more than 11 samples, not 11"):
        value(name, x[:11], y[:11], **settings)
    assert value(name, x, y, **settings) < 1 - 1e-6


@pytest.mark.parametrize("name", CANONICAL)
def test_directions_that_are_rounding_count_for_nothing(name):
    x, y = (part.astype(np.float32) for part in arrays(60))
    wider = np.concatenate([x, x[:, :3] + x[:, 1:4]], 1)
    basis = measures.get(name).prepare(torch.tensor(wider))["basis"]
    assert basis.shape == (60, 6)
    if name == "svcca":
        assert value(name, wider, y, variance=100) == pytest.approx(value(name, x, y, variance=100), abs=1e-5)


def test_gulp_of_equal_models_is_zero():
    x, y = arrays()
    assert compare("gulp", x, x) == (0.0, 0.0, None)
    assert value("gulp", x, x @ np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]) < 1e-6
    assert value("gulp", x, y) > 0.5


def test_settings_are_said_in_words():
    assert describe("rbf_cka-bandwidth50")[0] == "RBF CKA (bandwidth 50% of the median distance)"
    assert describe("gulp-exponent2")[0] == "GULP (\N{GREEK SMALL LETTER LAMDA} = 1e-2)"
    assert describe("svcca-variance99")[0] == "SVCCA (99% of the variance)"
    assert describe("mutual_knn-k10") == ("mutual k-NN (k = 10)", "similarity")
    for name in ("rbf_cka", "gulp", "svcca"):
        configured = ConfiguredMeasure(name, measures.get(name).settings)
        assert ConfiguredMeasure.of(configured.label) == configured
