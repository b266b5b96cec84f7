"""Tables of clusters: what is done for each matrix is done with what its rows say, and copies spoil none."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from modelkin.analysis import cluster_tables, clusters, ensemble_tables

NAMES = list("abcdef")
# Two levels of one radius and two norms.
MODELS = pd.DataFrame(
    {
        "name": NAMES,
        "architecture": list("uuvvww"),
        "eps": [0.0, 0.0, 0.5, 0.5, 0.5, 0.5],
        "norm": ["l2", "l2", "l2", "linf", "l2", "linf"],
        "structure": list("uuvvww"),
        "regime": "r",
        "hyper_parameters": "",
        "same_weights_as": None,
    }
)
LEVELS = [0, 0, 1, 2, 1, 2]


def rows_of(matrix, errors, **which):
    return pd.DataFrame(
        [
            {"model_a": NAMES[i], "model_b": NAMES[j], "value": matrix[i, j], "stderr": errors[i, j]}
            for i, j in itertools.combinations_with_replacement(range(len(matrix)), 2)
        ]
    ).assign(**which)


def symmetric(seed):
    half = np.random.default_rng(seed).random((6, 6))
    return (half + half.T) / 2 * ~np.eye(6, dtype=bool)


def made(rows, models=MODELS, direction="similarity", laplacian="normalised"):
    return cluster_tables.cluster_tables(
        rows,
        models,
        dict.fromkeys(rows["measure"], direction),
        number=3,
        laplacian=laplacian,
        repeats=4,
        share=0.7,
        seed=5,
    )


def stability_of(p):
    return clusters.Stability(*(0.5,) * 4, p, *(0.5,) * 2, np.zeros((6, 6)))


@pytest.mark.parametrize("laplacian", ["normalised", "unnormalised"])
@pytest.mark.parametrize("direction", ["similarity", "distance"])
def test_each_matrix_is_clustered_as_its_measure_is_meant(monkeypatch, direction, laplacian):
    given = {}

    def placed(*args):
        given["t_sne"] = args
        return np.arange(12.0).reshape(6, 2)

    def stable(*args, **settings):
        given["stability"], given["settings"] = args, settings
        return stability_of(0.5)

    monkeypatch.setattr(clusters, "t_sne", placed)
    monkeypatch.setattr(clusters, "stability", stable)
    matrix, errors = symmetric(7), symmetric(1)
    found = made(rows_of(matrix, errors, measure="m", kind="natural"), MODELS, direction, laplacian)
    near = clusters.affinity(matrix, direction)
    wanted = clusters.spectral(near, 3, laplacian)
    for numbers, one in (
        (matrix, given["t_sne"][0]),
        (matrix, given["stability"][0]),
        (errors, given["stability"][1]),
    ):
        assert np.allclose(numbers, one)
    assert given["t_sne"][1:] == (direction, 5)
    assert given["stability"][2] == direction
    assert given["settings"] == {
        **{"clusters": 3, "seed": 5, "repeats": 4, "share": 0.7, "laplacian": laplacian},
    }
    assert found["clusters"]["cluster"].tolist() == wanted.labels.tolist()
    assert found["clusters"]["t_sne_y"].tolist() == [1, 3, 5, 7, 9, 11]
    assert np.allclose(found["spectra"]["eigenvalue"], wanted.eigenvalues)
    row = found["cluster_stability"].iloc[0]
    other = {"normalised": "unnormalised", "unnormalised": "normalised"}[laplacian]
    assert row["ari_other_laplacian"] == pytest.approx(
        adjusted_rand_score(clusters.spectral(near, 3, other).labels, wanted.labels)
    )
    assert row["ari_architecture"] == pytest.approx(
        adjusted_rand_score(MODELS["architecture"], wanted.labels)
    )
    assert row["ari_level"] == pytest.approx(adjusted_rand_score(LEVELS, wanted.labels))


@pytest.mark.parametrize(("p", "supported"), [(0.01, 3), (0.05, 3), (0.06, 1), (1.0, 1), (math.nan, 1)])
def test_clusters_are_supported_where_chance_is_less_stable(monkeypatch, p, supported):
    monkeypatch.setattr(clusters, "stability", lambda *args, **settings: stability_of(p))
    row = made(rows_of(symmetric(0), symmetric(1), measure="m", kind="natural"))["cluster_stability"].iloc[0]
    assert (row["clusters"], row["clusters_supported"]) == (3, supported)


def with_an_undefined_copy():
    """e has the weights of b, and there is no value of it and c."""
    rows = rows_of(symmetric(0), symmetric(1), measure="m", kind="natural")
    rows.loc[(rows["model_a"] == "c") & (rows["model_b"] == "e"), "value"] = np.nan
    return rows, MODELS.assign(same_weights_as=[None, None, None, None, "b", None])


def test_a_copy_that_is_undefined_with_a_model_takes_none_out_of_the_clusters(caplog):
    rows, models = with_an_undefined_copy()
    found = made(rows, models)
    assert found["clusters"]["model"].tolist() == NAMES
    assert len(found["spectra"]) == 5
    assert not caplog.text


def test_a_copy_that_is_undefined_with_a_model_takes_none_out_of_the_ensembles():
    rows, models = with_an_undefined_copy()
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=40)
    found = ensemble_tables.ensemble_tables(
        {name: np.eye(3)[labels] + rng.normal(size=(40, 3)) for name in NAMES},
        labels,
        rows,
        models,
        {"m": "similarity"},
        sizes=[5],
        draws=3,
        clusters_by={"measure": "m", "kind": "natural"},
        rng=rng,
    )
    choice = found["ensemble_choices"].iloc[0]
    assert (choice["models"], choice["left_out"]) == ("a,b,c,d,f", "")
    assert set(found["ensemble_clusters"]["models"]) == {"a,b,c,d,f"}
