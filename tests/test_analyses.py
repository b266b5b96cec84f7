"""Tables, clusters, ensembles and figures: against libraries, planted answers and the definitions."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse.csgraph import laplacian
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from modelkin import analyses, clusters, ensembles, tables
from modelkin.errors import ModelkinError
from modelkin.figures import base


def blocks(sizes, near=0.9, far=0.1, noise=0.02, seed=0):
    """A similarity matrix with planted clusters, and their labels."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(seed)
    matrix = np.where(labels[:, None] == labels, near, far) + noise * rng.normal(size=(len(labels),) * 2)
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1)
    return matrix, labels


def table_of(matrix, names, kind="natural", measure="linear_cka", stderr=0.01):
    """A similarity table from a matrix; both directions for inverted probes."""
    rows = []
    for i, j in itertools.product(range(len(names)), repeat=2):
        if kind == "inverted" or i <= j:
            pair = {"kind": kind, "source": names[i], "model_a": names[i], "model_b": names[j]}
            rows.append(
                {**pair, "measure": measure, "value": matrix[i, j], "stderr": stderr, "chance": 0, "n": 50}
            )
    return pd.DataFrame(rows)


MODELS = pd.DataFrame(
    {"name": list("abcdef"), "architecture": ["r", "v", "m"] * 2, "eps": [0.0] * 3 + [1.0] * 3, "norm": "l2"}
)


# clusters


@pytest.mark.parametrize("sizes", [(4, 5), (3, 4, 5), (2, 2, 2, 6)])
def test_planted_clusters_are_found(sizes):
    matrix, labels = blocks(sizes)
    found = clusters.spectral(clusters.affinity(matrix, "similarity"))
    assert found.clusters == len(sizes)
    assert adjusted_rand_score(labels, found.labels) == 1
    as_distance = clusters.spectral(clusters.affinity(1 - matrix, "distance"), len(sizes))
    assert adjusted_rand_score(labels, as_distance.labels) == 1


def test_spectral_is_that_of_the_libraries():
    matrix, _ = blocks((4, 5, 6), far=0.4, noise=0.1)
    near = clusters.affinity(matrix, "similarity")
    found = clusters.spectral(near, 3)
    expected = np.linalg.eigvalsh(laplacian(near, normed=True))
    assert found.eigenvalues == pytest.approx(expected, abs=1e-12)
    library = SpectralClustering(3, affinity="precomputed", assign_labels="kmeans", random_state=0).fit(near)
    assert adjusted_rand_score(library.labels_, found.labels) == 1


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.permutations(range(9)))
def test_the_order_of_the_models_does_not_matter(order):
    matrix, _ = blocks((4, 5))
    whole = clusters.spectral(clusters.affinity(matrix, "similarity"), 2)
    moved = clusters.spectral(clusters.affinity(matrix[np.ix_(order, order)], "similarity"), 2)
    assert adjusted_rand_score(whole.labels[list(order)], moved.labels) == 1
    assert moved.labels[0] == 0


def test_odd_matrices_have_answers():
    alone = np.eye(5)
    alone[1:, 1:] = 0.9
    found = clusters.spectral(clusters.affinity(alone, "similarity"), 2)
    assert np.isfinite(found.embedding).all()
    assert set(found.labels) == {0, 1}
    two = clusters.spectral(clusters.affinity(np.array([[1, 0.5], [0.5, 1]]), "similarity"))
    assert two.clusters == 2
    assert two.embedding.shape == (2, 2)
    same = clusters.affinity(np.zeros((3, 3)), "distance")
    assert (same == 1 - np.eye(3)).all()
    assert (clusters.affinity(np.full((3, 3), -0.1), "similarity") == 0).all()


def test_clusters_refuse_what_is_wrong():
    matrix, _ = blocks((2, 2))
    with pytest.raises(ModelkinError, match="4 models cannot be put into 5 clusters"):
        clusters.spectral(matrix, 5)
    matrix[0, 1] = np.nan
    with pytest.raises(ModelkinError, match="NaN"):
        clusters.affinity(matrix, "similarity")
    with pytest.raises(ModelkinError, match="square"):
        clusters.affinity(np.zeros((2, 3)), "similarity")


def test_stability_tells_clear_clusters_from_noise():
    clear, labels = blocks((5, 6))
    noise, _ = blocks((11,), near=0.5, noise=0.2)
    quiet, loud = np.full((2, 11, 11), [[[0.01]], [[0.5]]])
    sure = clusters.stability(clear, quiet, "similarity", clusters=2, repeats=30)
    unsure = clusters.stability(noise, loud, "similarity", clusters=2, repeats=30)
    assert sure.ari_models_mean == sure.ari_samples_mean == 1
    assert unsure.ari_models_mean < 0.7
    assert unsure.ari_samples_mean < 0.5
    assert np.array_equal(np.nan_to_num(sure.together) > 0.5, labels[:, None] == labels)


def test_matrix_takes_the_mean_of_both_directions_and_names_a_missing_pair():
    square = np.array([[1, 0.2], [0.6, 1]])
    rows = table_of(square, ["a", "b"], kind="inverted")
    assert clusters.matrix(rows, ["a", "b"]).tolist() == [[1, pytest.approx(0.4)], [pytest.approx(0.4), 1]]
    with pytest.raises(ModelkinError, match="'a' and 'c'"):
        clusters.matrix(rows, ["a", "b", "c"])


# ensembles


@pytest.fixture
def logits():
    """Six models of varied accuracy on 200 images, and the labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    shared = rng.normal(size=(200, 4))
    found = {}
    for i, name in enumerate("abcdef"):
        own = rng.normal(size=(200, 4))
        found[name] = 1.5 * np.eye(4)[labels] + (shared if i < 3 else 0) + own
    return found, labels


def test_an_ensemble_by_hand(logits):
    found, labels = logits
    members = [found["a"], found["d"]]
    made = ensembles.evaluate(members, labels)
    wrong = [m.argmax(1) != labels for m in members]
    error = np.mean((members[0] + members[1]).argmax(1) != labels)
    assert made["error"] == error
    assert made["mean_member_error"] == pytest.approx((wrong[0].mean() + wrong[1].mean()) / 2)
    assert made["error_reduction_rate"] == pytest.approx(1 - error / made["mean_member_error"])
    assert made["all_wrong"] == np.mean(wrong[0] & wrong[1])
    perfect = ensembles.evaluate([np.eye(4)[labels]] * 2, labels)
    assert np.isnan(perfect["error_reduction_rate"])


def test_pairs_and_correlations(logits):
    found, labels = logits
    pairs = ensembles.pairs(found, labels)
    assert len(pairs) == 15
    matrix = np.random.default_rng(0).uniform(0.1, 0.2, (6, 6))
    matrix[:3, :3] = 0.9  # a, b, c share their noise
    matrix = (matrix + matrix.T) / 2
    made = ensembles.correlations(pairs, table_of(matrix, list("abcdef"), kind="inverted")).iloc[0]
    names = list("abcdef")
    x = [
        matrix[names.index(a), names.index(b)]
        for a, b in zip(pairs["model_a"], pairs["model_b"], strict=True)
    ]
    pearson = stats.pearsonr(x, pairs["error_reduction_rate"])
    assert (made["pearson"], made["pearson_p"]) == pytest.approx((pearson.statistic, pearson.pvalue))
    spearman = stats.spearmanr(x, pairs["error_reduction_rate"])
    assert (made["spearman"], made["spearman_p"]) == pytest.approx((spearman.statistic, spearman.pvalue))
    assert made["n"] == 15
    assert made["pearson"] < -0.3, "models that share their noise should gain less"
    constant = ensembles.correlations(pairs, table_of(np.ones((6, 6)), names))
    assert constant["pearson"].isna().all()


def test_members_come_from_as_many_clusters_as_asked(logits, monkeypatch):
    found, labels = logits
    groups = {1: [0] * 6, 2: [0, 0, 0, 1, 1, 1], 3: [0, 0, 1, 1, 2, 2]}
    drawn = []
    monkeypatch.setattr(
        ensembles, "evaluate", lambda members, labels: drawn.append(members) or {"error": 0.0}
    )
    made = ensembles.from_clusters(
        found, labels, lambda k: np.array(groups[k]), [2, 3], 20, np.random.default_rng(0)
    )
    assert made.groupby(["members", "clusters"]).size().to_dict() == dict.fromkeys(
        [(2, 1), (2, 2), (3, 1), (3, 2), (3, 3)], 20
    )
    order = [values.tobytes() for values in found.values()]
    for row, members in zip(made.itertuples(), drawn, strict=True):
        who = [order.index(values.tobytes()) for values in members]
        assert len(set(who)) == row.members
        assert len({groups[row.clusters][i] for i in who}) == row.clusters


def test_the_most_diverse_set_is_the_most_diverse():
    matrix, _ = blocks((5, 5), noise=0.1)
    for size in (2, 3, 4):
        best = ensembles.most_diverse(matrix, size)
        means = {
            each: np.mean([matrix[i, j] for i, j in itertools.combinations(each, 2)])
            for each in itertools.combinations(range(10), size)
        }
        assert means[best] == pytest.approx(min(means.values()))


def test_greedy_choice_for_many_models(monkeypatch):
    matrix, labels = blocks((10, 10, 10), noise=0.01)
    monkeypatch.setattr(ensembles, "EXHAUSTIVE", 10)
    chosen = ensembles.most_diverse(matrix, 3)
    assert set(labels[list(chosen)]) == {0, 1, 2}


def test_diverse_sets_against_random_ones(logits):
    found, labels = logits
    near = np.full((6, 6), 0.1)
    near[:3, :3] = 0.9  # a, b, c share their noise
    rng = np.random.default_rng(0)
    rows = table_of(near, list("abcdef"))
    made = ensembles.chosen(found, labels, rows, [3], 50, rng, {"linear_cka": "similarity"}).iloc[0]
    assert len(set(made["models"].split(",")) & set("abc")) <= 1
    assert made["error"] < made["random_error_mean"]
    assert 0 <= made["better_than_random"] <= 1
    upside_down = ensembles.chosen(found, labels, rows, [3], 5, rng, {"linear_cka": "distance"}).iloc[0]
    assert upside_down["models"] == "a,b,c"


def test_ensembles_refuse_what_is_wrong(logits):
    found, labels = logits
    with pytest.raises(ModelkinError, match="an ensemble of 7 cannot be made of 6 models"):
        ensembles.from_clusters(found, labels, None, [7], 1, np.random.default_rng(0))
    with pytest.raises(ModelkinError, match="differ in shape"):
        ensembles.pairs(found | {"a": found["a"][:, :3]}, labels)
    with pytest.raises(ModelkinError, match="200 images have logits, but 199"):
        ensembles.pairs(found, labels[1:])


# tables


def test_summary_is_the_mean_over_different_models_of_a_level():
    matrix = np.random.default_rng(0).random((6, 6))
    rows = table_of(matrix, list("abcdef"), kind="inverted")
    made = tables.summary(rows, MODELS).set_index("eps")
    for eps, block in ((0.0, slice(0, 3)), (1.0, slice(3, 6))):
        values = matrix[block, block][~np.eye(3, dtype=bool)]
        assert made.loc[eps, "mean"] == pytest.approx(values.mean())
        assert made.loc[eps, "sd"] == pytest.approx(values.std(ddof=1))
        assert made.loc[eps, "pairs"] == 6
    grid = tables.asymmetry(rows, MODELS).pivot_table(
        index="source_eps", columns="observer_eps", values="mean"
    )
    assert grid.loc[0.0, 1.0] == pytest.approx(matrix[:3, 3:].mean())
    assert grid.loc[1.0, 0.0] == pytest.approx(matrix[3:, :3].mean())


def test_clusters_of_a_study_say_what_they_follow():
    matrix, _ = blocks((3, 3))
    made = analyses.clusters(
        table_of(matrix, list("abcdef")),
        MODELS,
        {"linear_cka": "similarity"},
        number=2,
        repeats=5,
        share=0.8,
        seed=0,
    )
    row = made["cluster_stability"].iloc[0]
    assert row["ari_level"] == 1
    assert row["ari_architecture"] < 0.1
    assert made["spectra"]["rank"].tolist() == [1, 2, 3, 4, 5, 6]


def test_distillation_joins_teachers_with_their_similarity():
    students = pd.DataFrame(
        {
            "teacher": np.repeat(list("bcdef"), 2),
            "repeat": [0, 1] * 5,
            "student_accuracy": np.repeat([0.5, 0.6, 0.7, 0.8, 0.9], 2) + [-0.01, 0.01] * 5,
            "teacher_agreement": 0.9,
        }
    )
    matrix = np.eye(6)
    matrix[0, 1:] = [0.1, 0.2, 0.3, 0.4, 0.5]
    rows = table_of(matrix, list("abcdef"))
    models = MODELS.assign(clean_accuracy=0.9)
    made = analyses.distillation(students, rows, models, student="a")
    assert made["distillation"]["student_accuracy"].tolist() == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])
    assert made["distillation_correlations"]["pearson"].iloc[0] == pytest.approx(1)


# figures


def test_titles_of_measures():
    assert base.describe("knn_jaccard-k20") == ("k-NN Jaccard (k = 20)", "similarity")
    assert base.describe("symmetrised_kl") == ("symmetrised KL divergence", "distance")


def test_the_same_figure_is_the_same_file(tmp_path):
    base.style()
    for name in "ab":
        (tmp_path / name).mkdir()
        figure, (axis,) = base.facets(1)
        axis.plot([0, 1], [1, 0])
        base.save(figure, tmp_path / name, "x", 50)
    for end in ("png", "pdf"):
        assert (tmp_path / "a" / f"x.{end}").read_bytes() == (tmp_path / "b" / f"x.{end}").read_bytes()
