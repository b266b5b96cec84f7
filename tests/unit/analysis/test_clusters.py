"""Spectral clustering: against definitions and libraries, planted answers, odd matrices, wrong input."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import laplacian
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from modelkin.analysis import cluster_tables, clusters
from modelkin.errors import ModelkinError

pytestmark = pytest.mark.filterwarnings("error")
few = settings(max_examples=25, deadline=None, derandomize=True)


def planted(sizes, near=0.9, far=0.1, noise=0.02, seed=0):
    """Similarities (M, M) with blocks of these sizes, and the block of each model."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    wobble = noise * np.random.default_rng(seed).normal(size=(len(labels),) * 2)
    matrix = np.where(labels[:, None] == labels, near, far) + (wobble + wobble.T) / 2
    np.fill_diagonal(matrix, 1)
    return matrix, labels


def unplanned(models, seed=0):
    """Affinities (M, M) without any blocks."""
    return clusters.affinity(np.random.default_rng(seed).random((models, models)), "similarity")


def rows_of(matrix, names, both=True):
    """A table of one measure; without ``both``, each pair once."""
    places = itertools.product(range(len(names)), repeat=2)
    return pd.DataFrame(
        [
            {
                "kind": "inverted",
                "measure": "cka",
                "model_a": names[i],
                "model_b": names[j],
                "value": matrix[i, j],
            }
            for i, j in places
            if both or i <= j
        ]
    )


# matrix


def test_a_table_becomes_a_symmetric_matrix_in_the_order_asked():
    square = np.arange(9.0).reshape(3, 3)
    rows = rows_of(square, list("abc")).sample(frac=1, random_state=0)
    found = clusters.similarity_matrix(rows, list("cab"))
    order = np.ix_([2, 0, 1], [2, 0, 1])
    assert np.array_equal(found, (square + square.T)[order] / 2)
    assert np.array_equal(clusters.similarity_matrix(rows, ["b", "c"]), [[4, 6], [6, 8]])
    half = clusters.similarity_matrix(rows_of(square, list("abc"), both=False), list("abc"))
    assert np.array_equal(half, np.triu(square) + np.triu(square, 1).T)


def test_a_standard_error_can_be_nan_but_a_pair_cannot_be_missing():
    rows = rows_of(np.eye(3), list("abc")).assign(stderr=0.1)
    ab = (rows["model_a"] == "a") & (rows["model_b"] == "b")
    ba = (rows["model_a"] == "b") & (rows["model_b"] == "a")
    rows.loc[ab, "stderr"] = np.nan
    assert clusters.similarity_matrix(rows, list("abc"), "stderr")[0, 1] == 0.1, (
        "the other direction is known"
    )
    rows.loc[ba, "stderr"] = np.nan
    found = clusters.similarity_matrix(rows, list("abc"), "stderr")
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ModelkinError, match="no stderr for 'a' and 'b'"):
        clusters.similarity_matrix(rows[~(ab | ba)], list("abc"), "stderr")
    with pytest.raises(ModelkinError, match="no value for 'a' and 'd'"):
        clusters.similarity_matrix(rows, list("ad"))
    with pytest.raises(ModelkinError, match="no value for 'a' and 'a'"):
        clusters.similarity_matrix(rows[:0], ["a"])


@pytest.mark.parametrize("column", ["measure", "kind"])
def test_different_measures_or_kinds_are_not_averaged(column):
    rows = rows_of(np.eye(2), list("ab"))
    with pytest.raises(ModelkinError, match=f"more than one {column}"):
        clusters.similarity_matrix(pd.concat([rows, rows.assign(**{column: "other"})]), list("ab"))


# affinity


def test_affinity_by_its_definition():
    matrix = np.array([[9, 0.5, -0.2], [0.5, 9, 0.3], [-0.2, 0.3, 9]])
    assert np.array_equal(clusters.affinity(matrix, "similarity"), [[0, 0.5, 0], [0.5, 0, 0.3], [0, 0.3, 0]])
    apart = np.array([[0, 1, 2], [1, 0, 4], [2, 4, 0.0]])
    near = np.exp(-apart / 2)  # 2 is the median of 1, 2, 4
    np.fill_diagonal(near, 0)
    assert clusters.affinity(apart, "distance") == pytest.approx(near)
    assert clusters.affinity(1e6 * apart, "distance") == pytest.approx(near), "units do not matter"


def test_affinity_when_most_models_are_the_same():
    apart = np.zeros((4, 4))
    apart[0, 1:] = apart[1:, 0] = 3
    apart[0, 1] = apart[1, 0] = 0  # the median is 0, but not all are
    assert np.array_equal(
        clusters.affinity(apart, "distance"), [[0, 1, 0, 0], [1, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]]
    )
    assert clusters.affinity(np.zeros((1, 1)), "distance").tolist() == [[0]]


@pytest.mark.parametrize(
    ("matrix", "direction", "message"),
    [
        (np.zeros((2, 3)), "similarity", r"square, not \(2, 3\)"),
        (np.zeros(4), "similarity", "square"),
        (np.array([[1, np.nan], [0.5, 1]]), "similarity", "NaN or infinite values, first in row 0, column 1"),
        (np.array([[0, 1], [np.inf, 0]]), "distance", "row 1, column 0"),
        (np.eye(2), "distances", "did you mean 'distance'"),
    ],
)
def test_affinity_refuses_what_is_wrong(matrix, direction, message):
    with pytest.raises(ModelkinError, match=message):
        clusters.affinity(matrix, direction)


# spectral


@few
@given(st.lists(st.integers(3, 6), min_size=2, max_size=4), st.integers(0, 99))
def test_planted_clusters_and_their_number_are_found(sizes, seed):
    matrix, labels = planted(sizes, seed=seed)
    for values, direction in ((matrix, "similarity"), (1 - matrix, "distance")):
        near = clusters.affinity(values, direction)
        found = clusters.spectral(near)
        assert found.clusters == len(sizes)
        assert np.array_equal(found.labels, labels), "numbered in order of appearance"


@pytest.mark.parametrize("seed", range(3))
def test_clusters_are_those_of_scikit_learn(seed):
    matrix, _ = planted((4, 5, 6), far=0.4, noise=0.1, seed=seed)
    near = clusters.affinity(matrix, "similarity")
    library = SpectralClustering(3, affinity="precomputed", n_init=20, random_state=0).fit(near)
    assert adjusted_rand_score(library.labels_, clusters.spectral(near, 3).labels) == 1


@pytest.mark.parametrize("alone", [False, True])
def test_eigenvalues_are_those_of_the_definition_and_of_scipy(alone):
    near = unplanned(7)
    if alone:
        near[2] = near[:, 2] = 0
    degree = near.sum(1)
    by_hand = np.zeros((7, 7))
    for i, j in itertools.product(range(7), repeat=2):
        if degree[i] > 0 and degree[j] > 0:
            by_hand[i, j] = (i == j) - near[i, j] / np.sqrt(degree[i] * degree[j])
    found = clusters.spectral(near, 3).eigenvalues
    assert found == pytest.approx(np.linalg.eigvalsh(by_hand), abs=1e-12)
    assert found == pytest.approx(np.linalg.eigvalsh(laplacian(near, normed=True)), abs=1e-12)
    assert np.sum(found < 1e-9) == 1 + alone, "one 0 for each separate part"


@pytest.mark.parametrize("seed", range(3))
def test_the_unnormalised_laplacian_is_that_of_scipy_and_finds_what_is_planted(seed):
    matrix, labels = planted((4, 5, 6), seed=seed)
    near = clusters.affinity(matrix, "similarity")
    found = clusters.spectral(near, 3, laplacian="unnormalised")
    values, vectors = scipy.linalg.eigh(laplacian(near))
    assert found.eigenvalues == pytest.approx(values, abs=1e-12)
    assert found.features @ found.features.T == pytest.approx(vectors[:, :3] @ vectors[:, :3].T)
    assert np.array_equal(found.labels, labels)
    # What hwang2024 writes: the largest ones. They know the planted clusters no better than chance.
    largest = KMeans(3, n_init=20, random_state=0).fit(vectors[:, -3:]).labels_
    assert adjusted_rand_score(labels, largest) < 0.5


@pytest.mark.parametrize("direction", ["similarity", "distance"])
def test_t_sne_puts_planted_clusters_apart(direction):
    matrix, labels = planted((6, 7, 8))
    points = clusters.t_sne(matrix if direction == "similarity" else 1 - matrix, direction, seed=1)
    nearest = NearestNeighbors(n_neighbors=3).fit(points).kneighbors(return_distance=False)
    assert (labels[nearest] == labels[:, None]).all()
    again = clusters.t_sne(matrix if direction == "similarity" else 1 - matrix, direction, seed=1)
    assert np.array_equal(points, again)


@pytest.mark.parametrize("models", [2, 3, 4])
def test_t_sne_of_few_models(models):
    assert np.isfinite(clusters.t_sne(unplanned(models), "distance")).all()


def test_features_are_the_lowest_eigenvectors_with_rows_of_unit_length():
    near = unplanned(8)
    found = clusters.spectral(near, 3)
    _, vectors = scipy.linalg.eigh(laplacian(near, normed=True), subset_by_index=[0, 2])
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert found.features.shape == (8, 3)
    assert found.features @ found.features.T == pytest.approx(rows @ rows.T)  # whatever the signs


def test_embedding_is_the_random_walk_one_with_fixed_signs():
    near = unplanned(8)
    found = clusters.spectral(near, 2)
    degree = np.diag(near.sum(1))
    for place, column in enumerate(found.embedding.T, start=1):
        value = found.eigenvalues[place]
        assert (degree - near) @ column == pytest.approx(value * degree @ column)
        assert column @ degree @ column == pytest.approx(1)
        assert column[np.abs(column).argmax()] > 0
    order = np.random.default_rng(0).permutation(8)
    moved = clusters.spectral(near[np.ix_(order, order)], 2)
    assert moved.embedding == pytest.approx(found.embedding[order])


def test_signs_are_not_decided_by_rounding():
    values = np.array([[1, 0.5], [-1 - 1e-15, 0.2], [0.1, -0.7]])
    turned = clusters._embedding(np.column_stack([np.ones(3), -values]), np.ones(3))
    assert turned == pytest.approx(np.column_stack([values[:, 0], -values[:, 1]]))


@few
@given(st.permutations(range(12)))
def test_the_order_of_the_models_does_not_matter(order):
    blocks, _ = planted((5, 4, 3), far=0.05)
    for alone in (False, True):
        matrix = blocks.copy()
        if alone:  # a model like no other may not be put anywhere by chance
            matrix[0, 1:] = matrix[1:, 0] = -0.1
        whole = clusters.spectral(clusters.affinity(matrix, "similarity"))
        moved = clusters.spectral(clusters.affinity(matrix[np.ix_(order, order)], "similarity"))
        assert whole.clusters == moved.clusters == 3 + alone
        assert adjusted_rand_score(whole.labels[list(order)], moved.labels) == 1
        assert list(dict.fromkeys(moved.labels)) == list(range(moved.clusters))
        assert moved.eigenvalues == pytest.approx(whole.eigenvalues, abs=1e-12)


@few
@given(st.integers(2, 14), st.integers(0, 99))
def test_the_eigengap_by_its_definition(models, seed):
    found = clusters.spectral(unplanned(models, seed))
    gaps = {
        k: found.eigenvalues[k] - found.eigenvalues[k - 1]
        for k in range(2, max(3, models // 2 + 1))
        if k < models
    }
    assert found.clusters == max(gaps, key=gaps.get, default=2)


def test_of_equal_gaps_the_first_counts():
    rounding = np.random.default_rng(0).normal(size=10) * 1e-15
    assert clusters._eigengap(np.arange(10) * 0.1 + rounding) == 2
    assert clusters.spectral(np.ones((9, 9)) - np.eye(9)).clusters == 2


def test_models_like_no_other_are_clusters_of_their_own():
    matrix, labels = planted((4, 4), far=0.05)
    matrix = np.pad(matrix, (0, 2))
    found = clusters.spectral(clusters.affinity(matrix, "similarity"))
    assert np.array_equal(found.labels, [*labels, 2, 3])
    assert np.array_equal(found.embedding[8:], np.zeros((2, 2)))
    assert np.isfinite(found.features).all()
    none = clusters.spectral(np.zeros((4, 4)), 4)
    assert none.labels.tolist() == [0, 1, 2, 3]
    assert none.eigenvalues.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("similarity", [0.5, 0, -0.5])
@pytest.mark.parametrize("wanted", [None, 2])
def test_two_models_are_two_clusters(similarity, wanted):
    matrix = np.array([[1, similarity], [similarity, 1]])
    found = clusters.spectral(clusters.affinity(matrix, "similarity"), wanted)
    assert found.clusters == 2
    assert found.labels.tolist() == [0, 1]
    assert found.embedding.shape == (2, 2)
    assert (found.embedding[:, 1] == 0).all(), "there is no third eigenvector"
    stable = clusters.stability(matrix, np.full((2, 2), 0.1), "similarity", clusters=2, repeats=3)
    assert np.isnan(stable.ari_models_mean), "subsets that are both models cannot disagree"
    assert np.isnan(stable.ari_models_p)
    assert stable.ari_samples_mean == 1
    assert np.array_equal(stable.together, np.eye(2))


@pytest.mark.parametrize("models", [3, 5])
def test_every_number_of_clusters_is_possible(models):
    for wanted in range(2, models + 1):
        found = clusters.spectral(unplanned(models), wanted)
        assert set(found.labels) == set(range(wanted))
        assert found.features.shape == (models, wanted)


@pytest.mark.parametrize(
    ("near", "wanted", "message"),
    [
        (np.ones((4, 4)), 5, "4 models cannot be put into 5 clusters; choose a number from 2 to 4"),
        (np.ones((4, 4)), 1, "4 models cannot be put into 1 clusters"),
        (np.ones((1, 1)), None, "at least two models, not 1"),
        (np.ones((2, 3)), None, "symmetric matrix"),
        (np.array([[0, 1], [0.5, 0]]), None, "symmetric matrix"),
        (np.array([[0, -1], [-1, 0]]), None, "none below 0"),
        (np.array([[0, np.nan], [np.nan, 0]]), None, "finite values"),
        (np.array([[0, np.inf], [np.inf, 0]]), None, "finite values"),
    ],
)
def test_spectral_refuses_what_is_wrong(near, wanted, message):
    with pytest.raises(ModelkinError, match=message):
        clusters.spectral(near, wanted)


# stability


def stable(matrix, stderr=0.01, **given):
    return clusters.stability(
        matrix, np.full(matrix.shape, stderr), "similarity", **{"clusters": 2, "repeats": 20, **given}
    )


def test_clear_clusters_are_stable_and_noise_is_not():
    clear, labels = planted((5, 6))
    sure = stable(clear)
    assert (sure.ari_models_mean, sure.ari_models_sd, sure.ari_samples_mean, sure.ari_samples_sd) == (
        1,
        0,
        1,
        0,
    )
    both = ~np.isnan(sure.together)
    assert np.array_equal(sure.together[both], (labels[:, None] == labels)[both])
    unsure = stable(unplanned(11), stderr=0.5)
    assert unsure.ari_models_mean < 0.7
    assert unsure.ari_samples_mean < 0.5
    assert unsure.ari_models_sd > 0
    assert unsure.ari_samples_sd > 0
    assert np.array_equal(unsure.together, unsure.together.T, equal_nan=True)
    assert np.nanmin(unsure.together) >= 0
    assert np.nanmax(unsure.together) <= 1


def test_only_the_subsets_that_held_both_models_count():
    matrix, labels = planted((3, 3))
    once = stable(matrix, repeats=1, share=0.5)  # three of six models
    held = ~np.isnan(np.diag(once.together))
    assert held.sum() == 3
    assert np.array_equal(np.isnan(once.together), ~(held[:, None] & held))
    everything = stable(matrix, repeats=2, share=1)
    assert np.array_equal(everything.together, labels[:, None] == labels)
    many = stable(matrix, repeats=40, share=0.1)  # never fewer models than clusters
    assert (many.together[~np.isnan(many.together)] % 1 == 0).all()
    assert np.nanmax(many.together - np.eye(6)) == 0, "two models in two clusters are never together"


def test_shuffled_matrices_say_what_stability_is_worth():
    rng = np.random.default_rng(0)
    clear, _ = planted((6, 6), noise=0.05)
    sure = stable(clear, repeats=5)
    assert 0.01 <= sure.ari_models_p <= 0.02, "of 100, itself among them"
    assert sure.ari_null_mean < sure.ari_models_mean - 0.3
    values = [stable(clusters._shuffled(clear, rng), repeats=5).ari_models_p for _ in range(6)]
    assert np.mean(values) > 0.3, "without clusters p is anything from 0 to 1"


def test_p_counts_the_matrix_itself_among_the_shuffled(monkeypatch):
    stabilities = iter([2.0, -1.0, 2.0, -1.0])
    monkeypatch.setattr(clusters, "SHUFFLES", 4)
    monkeypatch.setattr(clusters, "_stability_of", lambda *args: next(stabilities))
    assert stable(planted((5, 6))[0]).ari_models_p == pytest.approx(3 / 5)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=12))
def test_the_rand_index_is_that_of_scikit_learn(labels):
    a, b = np.array(labels).T
    assert clusters._adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b))


def test_clusters_need_no_start_and_are_those_of_cluster_qr():
    from sklearn.cluster._spectral import cluster_qr

    matrix, _ = planted((4, 5, 6), far=0.4, noise=0.1)
    near = clusters.affinity(matrix, "similarity")
    degree = near.sum(1) ** -0.5
    vectors = np.linalg.eigh(np.eye(15) - degree[:, None] * near * degree)[1][:, :3]
    assert adjusted_rand_score(cluster_qr(vectors), clusters.spectral(near, 3).labels) == 1


def test_the_noise_is_symmetric_and_as_large_as_the_standard_errors(monkeypatch):
    matrix, _ = planted((3, 3))
    stderr = np.full((6, 6), 0.01)
    stderr[0, 1] = stderr[1, 0] = 0.1
    seen, weights = [], clusters._weights

    def spied(values, direction):
        if values.shape[1:] == matrix.shape:  # not of a subset
            seen.extend(values - matrix)
        return weights(values, direction)

    monkeypatch.setattr(clusters, "_weights", spied)
    clusters.stability(matrix, stderr, "similarity", clusters=2, repeats=200)
    noise = np.stack(seen[1 : 1 + 200])  # then come the shuffled ones
    assert len(noise) == 200
    assert noise == pytest.approx(noise.transpose(0, 2, 1))
    off = ~np.eye(6, dtype=bool)
    assert noise.std(0)[off] == pytest.approx(stderr[off], rel=0.2)
    assert (noise[:, ~off] == 0).all()


def test_how_many_matrices_are_decomposed_together_changes_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    matrix = rng.random((7, 7))
    matrix = (matrix + matrix.T) / 2
    found = []
    for at_once in (2**22, 3 * 49, 1):
        monkeypatch.setattr(clusters, "AT_ONCE", at_once)
        found.append(clusters.stability(matrix, np.full((7, 7), 0.1), "distance", clusters=3, repeats=7))
    for each in found[1:]:
        np.testing.assert_array_equal(each.together, found[0].together)
        assert replace(each, together=found[0].together) == found[0]


def test_noise_of_unknown_size_is_not_taken_for_none():
    matrix, _ = planted((3, 3))
    stderr = np.full((6, 6), 0.01)
    np.fill_diagonal(stderr, np.nan)  # of a model with itself: does not matter
    fine = clusters.stability(matrix, stderr, "similarity", clusters=2, repeats=3)
    assert fine.ari_samples_mean == 1
    stderr[0, 1] = stderr[1, 0] = np.nan
    found = clusters.stability(matrix, stderr, "similarity", clusters=2, repeats=3)
    assert found.ari_models_mean == 1
    assert np.isnan([found.ari_samples_mean, found.ari_samples_sd]).all()


def test_stability_depends_on_the_seed_alone():
    matrix = unplanned(9)
    first, again, other = (stable(matrix, 0.2, seed=seed) for seed in (1, 1, 2))
    assert first.ari_samples_mean == again.ari_samples_mean
    assert np.array_equal(first.together, again.together, equal_nan=True)
    assert not np.array_equal(first.together, other.together, equal_nan=True)


def test_a_matrix_of_69_models_has_one_answer_whatever_the_seed(monkeypatch):
    """Noisy, of the sizes of the clusters of hwang2024, Table 1: one index against the truth."""
    sizes = (7, 8, 7, 6, 6, 12, 6, 6, 7, 4)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(0)
    noise = 0.35 * rng.normal(size=(69, 69))
    matrix = np.where(truth[:, None] == truth, 3.3, 2.4) + (noise + noise.T) / 2
    np.fill_diagonal(matrix, 4.6)
    models = pd.DataFrame(
        {"name": [f"m{i}" for i in range(69)], "architecture": "", "eps": 0.0, "norm": "l2"}
    )
    a, b = np.triu_indices(69)
    rows = pd.DataFrame(
        {
            "model_a": models["name"].to_numpy()[a],
            "model_b": models["name"].to_numpy()[b],
            "value": matrix[a, b],
        }
    ).assign(kind="imported", measure="sat", stderr=np.nan)
    monkeypatch.setattr(clusters, "SHUFFLES", 1)
    found = [
        cluster_tables.cluster_tables(
            rows,
            models,
            {"sat": "similarity"},
            number=10,
            laplacian="normalised",
            repeats=1,
            share=0.8,
            seed=seed,
        )["clusters"]["cluster"].tolist()
        for seed in range(3)
    ]
    assert found[0] == found[1] == found[2]
    assert adjusted_rand_score(truth, found[0]) > 0.7
