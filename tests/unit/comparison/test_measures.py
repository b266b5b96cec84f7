"""Measures against independent libraries or the definition written out, their precision, and bad input."""

import subprocess
import sys

import numpy as np
import pytest
import repsim
import torch
from ckatorch.core import cka_base
from contracts import taken
from contracts import two_arrays as arrays
from scipy.spatial import procrustes
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr, softmax
from sklearn.metrics import accuracy_score
from sklearn.neighbors import NearestNeighbors

from modelkin import compare
from modelkin.comparison import measures, neighbours
from modelkin.comparison.measures.base import centred
from modelkin.errors import ModelkinError, Undefined

NAMES = measures.names()
REPRESENTATION = [name for name in NAMES if measures.get(name).takes == "representation"]
CKA = ["linear_cka", "debiased_cka"]


def pair_for(name):
    return taken(measures.get(name))


def value(name, x, y, **more):
    return compare(name, torch.as_tensor(x), torch.as_tensor(y), **more).value


# against other libraries, or the definition


def cka_by_definition(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)


def debiased_by_definition(x, y):
    """Song et al. (2012), equation 5, with explicit zero-diagonal Gram matrices of the raw data."""

    def hsic(x, y):
        n = len(x)
        k, l = x @ x.T, y @ y.T  # noqa: E741
        np.fill_diagonal(k, 0)
        np.fill_diagonal(l, 0)
        one = np.ones(n)
        product = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ l) + product - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))

    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def test_linear_cka():
    x, y = arrays()
    expected = cka_by_definition(x, y)
    assert value("linear_cka", x, y) == pytest.approx(expected, abs=1e-12)
    assert float(cka_base(torch.tensor(x), torch.tensor(y), unbiased=False)) == pytest.approx(
        expected, abs=1e-9
    )
    other = repsim.cka([x, y], kernel_type="linear", estimator="gretton")
    assert other[0, 1] == pytest.approx(expected)


def test_debiased_cka():
    x, y = arrays()
    assert value("debiased_cka", x, y) == pytest.approx(debiased_by_definition(x, y), abs=1e-12)
    library = cka_base(torch.tensor(x), torch.tensor(y), unbiased=True)
    assert value("debiased_cka", x, y) == pytest.approx(float(library), abs=1e-9)


def test_debiased_cka_of_unrelated_arrays_is_zero_on_average():
    found = [value("debiased_cka", *np.random.default_rng(s).normal(size=(2, 12, 30))) for s in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    biased = [value("linear_cka", *np.random.default_rng(s).normal(size=(2, 12, 30))) for s in range(20)]
    assert np.mean(biased) > 0.5


def test_procrustes():
    x, y = arrays()
    nuclear = np.sqrt(1 - procrustes(x, np.pad(y, ((0, 0), (0, 1))))[2])
    assert value("procrustes", x, y) == pytest.approx(1 - np.sqrt(2 - 2 * nuclear) / 2, abs=1e-10)
    assert value("procrustes", y, x) == pytest.approx(value("procrustes", x, y), abs=1e-10)
    first, second = torch.tensor([[1.0], [-1], [0], [0]]), torch.tensor([[0.0], [0], [1], [-1]])
    assert value("procrustes", first, second) == pytest.approx(1 - np.sqrt(0.5)), "nothing in common"


@pytest.mark.parametrize("shape", [(60, 10, 8), (30, 100, 80), (30, 30, 30)])
@pytest.mark.parametrize("noise", [1e-3, 1])
def test_procrustes_counts_no_rounding_as_singular_values(shape, noise):
    n, p, q = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    y = (x + noise * rng.normal(size=(n, p)))[:, :q]
    # The same columns where noise is small, so that the distance is, and rounding shows.
    x = x[:, :q] if noise < 1 else x
    a, b = ((part - part.mean(0)) / np.linalg.norm(part - part.mean(0)) for part in (x, y))
    nuclear = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    assert value("procrustes", x, y) == pytest.approx(1 - np.sqrt(2 - 2 * nuclear) / 2, abs=2e-11)


@pytest.mark.parametrize("k", [1, 5, 39])
def test_knn_jaccard(k):
    def neighbours(x):
        x = x - x.mean(0)
        found = NearestNeighbors(n_neighbors=k, metric="cosine").fit(x)
        return [set(row) for row in found.kneighbors(return_distance=False)]

    x, y = arrays()
    expected = np.mean([len(a & b) / len(a | b) for a, b in zip(neighbours(x), neighbours(y), strict=True)])
    assert value("knn_jaccard", x, y, k=k) == pytest.approx(expected, abs=1e-12)


def test_knn_jaccard_of_a_sample_at_the_mean():
    # Cosines are -1/2 among the corners of a triangle and 0 with its centre, which is thus the nearest.
    corners = np.array([[1, -1, 0], [0, 1, -1], [-1, 0, 1], [0, 0, 0]], float)
    for shift in (0, 0.1, 0.3, 0.7):
        for kind in (np.float32, np.float64):
            moved = torch.tensor((corners + shift * np.array([1, 2, 3])).astype(kind))
            lists = measures.get("knn_jaccard").prepare(moved, k=1)["neighbours"]
            assert lists[:3, 0].tolist() == [3, 3, 3]


def test_knn_jaccard_does_not_depend_on_the_chunks(monkeypatch):
    x, y = arrays()
    whole = compare("knn_jaccard", x, y)
    monkeypatch.setattr("modelkin.comparison.neighbours.ROWS", 7)
    assert compare("knn_jaccard", x, y) == whole


def test_agreement():
    x, y = arrays(q=6)
    assert value("agreement", x, y) == accuracy_score(x.argmax(1), y.argmax(1))
    tied = np.round(x)  # argmax is the first of several
    assert value("agreement", tied, y) == accuracy_score(tied.argmax(1), y.argmax(1))


@pytest.mark.parametrize("name", ["agreement", "jensen_shannon", "symmetrised_kl"])
def test_constant_logits_are_a_prediction_like_any_other(name):
    x, own = np.ones((9, 4)), 0 if name == "symmetrised_kl" else 1
    assert value(name, x, 5 * x) == pytest.approx(own, abs=1e-12)
    assert 0 < value(name, x, np.eye(9, 4)) < 1


@pytest.mark.parametrize("scale", [1, 100])
def test_divergences(scale):
    x, y = (scale * part for part in arrays(q=6))
    p, q = softmax(x, 1), softmax(y, 1)
    expected = np.mean(1 - jensenshannon(p, q, base=2, axis=1) ** 2)
    assert value("jensen_shannon", x, y) == pytest.approx(expected, abs=1e-10)
    expected = np.mean(((p - q) * (log_softmax(x, 1) - log_softmax(y, 1))).sum(1) / 2)
    if scale == 1:  # beyond it, p or q underflows in the library
        assert expected == pytest.approx(np.mean(rel_entr(p, q).sum(1) / 2 + rel_entr(q, p).sum(1) / 2))
    assert value("symmetrised_kl", x, y) == pytest.approx(expected, rel=1e-10)


def test_jensen_shannon_is_in_bits():
    disjoint = value("jensen_shannon", [[100.0, -100], [100, -100]], [[-100.0, 100], [-100, 100]])
    assert disjoint == pytest.approx(0, abs=1e-12)


def test_saliency_cosine():
    x, y = np.random.default_rng(0).normal(size=(2, 7, 3, 4, 4))
    cosines = [
        a.ravel() @ b.ravel() / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(x, y, strict=True)
    ]
    assert value("saliency_cosine", x, y) == pytest.approx(np.mean(cosines), abs=1e-12)
    assert value("saliency_cosine", -x, x) == pytest.approx(-1)
    x[0] = 0
    assert value("saliency_cosine", x, y) == pytest.approx(np.sum(cosines[1:]) / 7, abs=1e-12)


# standard errors


def brute_force(name, x, y):
    left_out = [value(name, np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(len(x))]
    return np.sqrt((len(x) - 1) * np.var(left_out))


@pytest.mark.parametrize("name", [*CKA, "agreement", "jensen_shannon", "symmetrised_kl", "saliency_cosine"])
def test_standard_error_is_the_jackknife(name):
    x, y = pair_for(name)
    assert compare(name, x, y).stderr == pytest.approx(brute_force(name, x, y), rel=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
def test_procrustes_standard_error_is_nearly_the_jackknife(seed):
    for n, off in ((60, 0.05), (200, 0.02)):
        x, y = arrays(n, seed=seed)
        assert compare("procrustes", x, y).stderr == pytest.approx(brute_force("procrustes", x, y), rel=off)


def test_procrustes_of_nearly_the_same_has_the_error_of_double_precision():
    """Above the nuclear norm from which single precision would show in it."""
    x, _ = arrays(200)
    for noise in (1e-5, 0.003, 0.03):
        y = x + noise * np.random.default_rng(5).normal(size=x.shape)
        assert compare("procrustes", x, y).stderr == pytest.approx(brute_force("procrustes", x, y), rel=0.05)
    assert compare("procrustes", x, x).stderr < 1e-6


def overlaps(x, y, k, kept):
    """The Jaccard index of the lists of the samples that are kept, among these, by cosine of rows."""

    def lists(features):
        rows = features[kept] / np.linalg.norm(features[kept], axis=1, keepdims=True)
        cosine = rows @ rows.T - 9 * np.eye(len(rows))
        return [set(order[:k]) for order in np.argsort(-cosine, axis=1)]

    return np.array([len(a & b) / len(a | b) for a, b in zip(lists(x), lists(y), strict=True)])


def test_knn_jaccard_standard_error_is_that_of_disjoint_halves(monkeypatch):
    """Each half with lists of its own, centred as the whole is."""
    monkeypatch.setattr(neighbours, "ROWS", 16)
    x, y = (part - part.mean(0) for part in arrays(90))
    sides = neighbours._sides(90).numpy()
    assert sides.shape == (90, neighbours.SPLITS)
    assert (np.sort(sides, axis=0) == np.repeat([0, 1], 45)[:, None]).all()
    assert len({tuple(side) for side in sides.T}) == neighbours.SPLITS
    found, stated = [], []
    for side in sides.T:
        a, b = (overlaps(x, y, 5, side == half) for half in (0, 1))
        found.append((a.mean() - b.mean()) ** 2 / 2)
        stated.append((a.var(ddof=1) + b.var(ddof=1)) / 45 / 2)
    factor = np.sqrt(np.mean(found) / np.mean(stated))
    assert factor > 1.1
    plain = np.std(overlaps(x, y, 5, np.full(90, True)), ddof=1) / np.sqrt(90)
    assert compare("knn_jaccard", x, y, k=5).stderr == pytest.approx(factor * plain)


@pytest.mark.parametrize("n", [2, 3, 11, 12, 13, 19, 21, 23, 31, 101])
@pytest.mark.parametrize("name", ["knn_jaccard", "mutual_knn"])
def test_an_error_by_halves_is_bounded_for_few_and_odd_samples(name, n):
    """Halves of unlike sizes differ by their chance level, and those as small as lists do not vary."""
    sides = neighbours._sides(n)
    assert ((sides == 0).sum(0) == n // 2).all()
    assert ((sides == 1).sum(0) == n // 2).all()
    x, y = arrays(n)
    settings = {"k": min(10, n - 1)}
    error = compare(name, x, y, **settings).stderr
    assert 0 <= error < 2 * 0.5 / np.sqrt(n)


# precision


@pytest.mark.parametrize("shape", [(500, 64, 48), (40, 400, 300)])
@pytest.mark.parametrize("offset", [0, 30, 300])
@pytest.mark.parametrize("name", REPRESENTATION)
def test_float32_is_good_to_1e_5(name, offset, shape):
    x, y = arrays(*shape)
    # The rounding of the input itself is not the measure's error.
    x, y = ((part + offset).astype(np.float32) for part in (x, y))
    if shape[0] < shape[1] and name in ("svcca", "pwcca"):
        with pytest.raises(Undefined, match="need more than"):
            value(name, x, y)
        return
    assert value(name, x, y) == pytest.approx(value(name, x.astype(float), y.astype(float)), abs=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1, 30])
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(REPRESENTATION)))
def test_float32_outputs_are_good_to_1e_5(name, scale):
    x, y = ((scale * part).astype(np.float32) for part in pair_for(name))
    expected = value(name, x.astype(float), y.astype(float))
    off = 1e-5 if name == "saliency_cosine" else 1e-12
    assert value(name, x, y) == pytest.approx(expected, rel=off, abs=1e-15)


def test_centring_is_in_float64():
    x = (arrays(n=500)[0] + 300).astype(np.float32)
    assert centred(torch.tensor(x)).double().mean(0).abs().max() < 1e-8


def test_float32_is_good_for_nearly_the_same_representation():
    x, _ = arrays(n=500, p=64)
    y = (x + 1e-3 * np.random.default_rng(1).normal(size=x.shape)).astype(np.float32)
    x = x.astype(np.float32)
    expected = value("procrustes", x.astype(float), y.astype(float))
    assert value("procrustes", x, y) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("scale", [1e-25, 1e-6, 1e25])
@pytest.mark.parametrize("name", REPRESENTATION)
def test_small_features_are_no_smaller_similarity(name, scale):
    x, y = (part.astype(np.float32) for part in arrays())
    scaled = (np.float32(scale) * part for part in (x, y))
    assert value(name, *scaled) == pytest.approx(value(name, x, y), abs=1e-6)


def test_duplicated_samples_are_not_their_own_neighbours():
    x, _ = arrays(n=20)
    doubled = np.concatenate([x, x])
    lists = measures.get("knn_jaccard").prepare(torch.tensor(doubled), k=3)["neighbours"]
    assert not (lists == torch.arange(40)[:, None]).any()
    assert (lists[:20] == torch.arange(20, 40)[:, None]).any(1).all()


# bad input


@pytest.mark.parametrize("name", REPRESENTATION)
def test_constant_representations_are_refused(name):
    x, y = arrays()
    with pytest.raises(ModelkinError, match="same for all samples"):
        compare(name, np.full_like(x, 0.1), y)


@pytest.mark.parametrize("name", ["agreement", "jensen_shannon", "symmetrised_kl"])
def test_different_numbers_of_classes_are_refused(name):
    with pytest.raises(ModelkinError, match="classes"):
        compare(name, *arrays(q=5))


@pytest.mark.parametrize("other", [(40, 3, 8, 8), (40, 1)])
def test_saliency_maps_of_different_sizes_are_refused(other):
    with pytest.raises(ModelkinError, match="48 and"):
        compare("saliency_cosine", np.ones((40, 3, 4, 4)), np.ones(other))


def test_debiased_cka_without_any_similarity_to_itself_is_refused():
    _, y = arrays()
    with pytest.raises(ModelkinError, match="not defined"):
        compare("debiased_cka", np.eye(40), y)
    # Without one of the two equal samples the rest are equally far again.
    x = np.eye(40)
    x[1] = x[0]
    found = compare("debiased_cka", x, y)
    assert np.isfinite(found.value)
    assert np.isnan(found.stderr)


def test_neighbours_of_different_number_are_refused():
    measure, (x, _) = measures.get("knn_jaccard"), arrays()
    with pytest.raises(ModelkinError, match="3 and 4 neighbours"):
        measure.compare(measure.prepare(x, k=3), measure.prepare(x, k=4))


def test_too_few_samples():
    x, y = arrays(n=5)
    with pytest.raises(ModelkinError, match="k=5 needs more than 5 samples, not 5"):
        compare("knn_jaccard", x, y, k=5)
    with pytest.raises(ModelkinError, match="k of at least 1, not 0"):
        compare("knn_jaccard", x, y, k=0)
    assert np.isnan(compare("debiased_cka", x[:4], y[:4]).stderr)
    assert np.isfinite(compare("debiased_cka", x, y).stderr)
    with pytest.raises(ModelkinError, match="at least four samples"):
        compare("debiased_cka", x[:3], y[:3])
    assert np.isnan(compare("linear_cka", x[:2], y[:2]).stderr)


def test_views_and_large_integers_can_be_compared():
    x, y = arrays()
    assert compare("linear_cka", x[::-1], y[::-1]).value == pytest.approx(value("linear_cka", x, y))
    half, large = x.astype(np.float16), (1e6 * y).astype(int)
    expected = value("linear_cka", half.astype(float), large.astype(float))
    assert compare("linear_cka", half, large).value == pytest.approx(expected, abs=1e-5)


def test_labels_can_be_read_back():
    for measured in (
        measures.ConfiguredMeasure("linear_cka"),
        measures.ConfiguredMeasure("knn_jaccard", {"k": 20}),
    ):
        assert measures.ConfiguredMeasure.of(measured.label) == measured


@pytest.mark.parametrize("name", ["linear_cka", "procrustes"])
def test_standard_errors_that_are_not_defined_are_nan(name):
    _, y = arrays()
    alone = np.zeros((40, 6), np.float32)
    alone[0] = 1
    assert np.isfinite(compare(name, alone, y).value)
    assert np.isnan(compare(name, alone, y.astype(np.float32)).stderr)
    assert np.isnan(compare(name, y[:3], y[:3] ** 2).stderr)
    assert np.isfinite(compare(name, y[:4], y[:4] ** 2).stderr)


def test_unknown_measure_names_the_nearest():
    with pytest.raises(ModelkinError, match="did you mean 'linear_cka'"):
        measures.get("liner_cka")


def test_reading_a_measure_does_not_import_torch():
    code = (
        "import sys; from modelkin.comparison import measures;"
        "print([measures.get(n).version for n in measures.names()]);"
        # They look for torch among the imported modules, and import what they find there.
        "import scipy.special, scipy.stats, seaborn; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")


@pytest.mark.parametrize("name", ["linear_cka", "debiased_cka", "procrustes"])
def test_representations_much_wider_than_samples_are_handled_in_their_span(name):
    """A 1 x 1 convolution's input can have 100,000 features, of which no square matrix is made."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(20, 30)).astype(np.float32)
    wide = a @ np.linalg.qr(rng.normal(size=(50_000, 30)))[0].T.astype(np.float32)
    b = rng.normal(size=(20, 12)).astype(np.float32)
    assert compare(name, wide, b).value == pytest.approx(compare(name, a[:, :], b).value, abs=1e-4)
    assert measures.get(name).prepare(torch.from_numpy(wide))["x"].shape == (20, 19)
