"""Spectral clustering of a matrix of similarities or distances between models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score

from modelkin.analysis.tables import LOG, each_matrix
from modelkin.errors import ModelkinError, unknown_name


@dataclass(frozen=True)
class Clustering:
    """labels (M,) numbered in order of appearance; the number of clusters K; eigenvalues (M,) of the
    Laplacian, rising; features (M, K) that k-means saw; embedding (M, 2) for a plot.
    """

    labels: np.ndarray
    clusters: int
    eigenvalues: np.ndarray
    features: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class Stability:
    """Adjusted Rand indices (mean, sd) of reclusterings against the whole: of random subsets of the
    models, and of matrices with the measure's own noise (NaN if a standard error is). together (M, M):
    the share of the subsets that held both models in which they fell into one cluster (NaN if none
    held both).
    """

    ari_models_mean: float
    ari_models_sd: float
    ari_samples_mean: float
    ari_samples_sd: float
    together: np.ndarray


def similarity_matrix(table: pd.DataFrame, models: list[str], column: str = "value") -> np.ndarray:
    """(M, M): one measure on one kind of probe, symmetric; the mean of the two directions there are.

    A pair whose rows are all NaN is NaN, as standard errors can be. For standard errors the mean is
    an upper bound of that of the mean value. Raises ModelkinError if a pair has no row, or if the
    table is of several measures or kinds.
    """
    for key in ("measure", "kind"):
        if key in table and len(set(table[key])) > 1:
            raise ModelkinError(f"the table holds more than one {key}; select the rows of one.")
    every = pd.MultiIndex.from_product([models, models])
    cells = table.groupby(["model_a", "model_b"])[column].agg(["mean", "size"]).reindex(every)
    value, rows = cells.to_numpy(dtype=float).T.reshape(2, len(models), len(models))
    missing = np.argwhere(np.isnan(rows) & np.isnan(rows.T))
    if len(missing):
        a, b = (models[i] for i in missing[0])
        raise ModelkinError(f"the table has no {column} for '{a}' and '{b}'; every pair is needed.")
    both = np.stack([value, value.T])
    known = ~np.isnan(both)
    total, count = np.where(known, both, 0).sum(0), known.sum(0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def affinity(matrix: np.ndarray, direction: str) -> np.ndarray:
    """(M, M) non-negative weights with a zero diagonal, as Ng, Jordan and Weiss (2001, step 1) ask.

    direction: 'similarity' or 'distance'. Similarities below 0 count as 0; a distance d becomes
    exp(-d / median d off the diagonal), and if that median is 0, 1 for equal models and 0 for others.
    Raises ModelkinError for NaN or infinite values.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ModelkinError(f"a matrix of models must be square, not {matrix.shape}.")
    if direction not in ("similarity", "distance"):
        raise unknown_name("direction", direction, ["similarity", "distance"])
    if not np.isfinite(matrix).all():
        a, b = np.argwhere(~np.isfinite(matrix))[0]
        raise ModelkinError(
            f"the matrix holds NaN or infinite values, first in row {a}, column {b}, so the models cannot "
            "be clustered; leave out the model or the measure."
        )
    if direction == "distance":
        apart = matrix[~np.eye(len(matrix), dtype=bool)]
        typical = np.median(apart) if len(apart) else 0
        matrix = np.exp(-matrix / typical) if typical > 0 else (matrix <= 0).astype(float)
    weights = np.clip((matrix + matrix.T) / 2, 0, None)
    np.fill_diagonal(weights, 0)
    return weights


def spectral(
    affinity: np.ndarray, clusters: int | None = None, seed: int = 0, laplacian: str = "normalised"
) -> Clustering:
    """Spectral clustering of an affinity (M, M), M >= 2, by k-means of K eigenvectors of a Laplacian.

    laplacian: 'normalised' (Ng, Jordan and Weiss 2001): the rows of the K eigenvectors of
    I - D^-1/2 A D^-1/2 with the smallest eigenvalues, scaled to unit length. 'unnormalised': those of D - A
    with the smallest eigenvalues, as they are. hwang2024, Section 4.1, cites the former and writes of D - A
    and its largest eigenvectors, which tell apart the models of the highest degrees and no clusters; it is
    the smallest ones of D - A that do what it describes.

    clusters: K, from 2 to M; None: the K at which the next eigenvalue is furthest away, from 2 to
    max(2, M // 2), the smallest if tied. A model like no other is a part of its own (eigenvalue 0,
    as in Chung 1997, Section 1.2) and stands at the origin of the embedding. If more than K parts
    have no affinity between them, which of them share a cluster is arbitrary.

    >>> spectral(np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3)), clusters=2).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    affinity = np.asarray(affinity, dtype=float)
    _check(affinity, clusters)
    degree = affinity.sum(1)
    if laplacian == "normalised":
        scale = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
        matrix = np.diag((degree > 0).astype(float)) - scale[:, None] * affinity * scale
    else:
        scale = np.ones_like(degree)
        matrix = np.diag(degree) - affinity
    eigenvalues, vectors = np.linalg.eigh(matrix)
    if clusters is None:
        clusters = _eigengap(eigenvalues)
    features = vectors[:, :clusters]
    if laplacian == "normalised":
        length = np.linalg.norm(features, axis=1, keepdims=True)
        features = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
    found = KMeans(clusters, n_init=20, random_state=seed % 2**32).fit(features).labels_
    return Clustering(_by_appearance(found), clusters, eigenvalues, features, _embedding(vectors, scale))


def t_sne(matrix: np.ndarray, direction: str, seed: int = 0) -> np.ndarray:
    """(M, 2): t-SNE (van der Maaten and Hinton 2008) of the models, M >= 2, as in hwang2024's Fig. 1.

    matrix (M, M) of similarities, whose distances are how far they are below the highest of them, or of
    distances. The perplexity is 30, for few models a third of the others. Distances between far-off points
    mean nothing.
    """
    distances = matrix if direction == "distance" else matrix.max() - matrix
    distances = np.clip((distances + distances.T) / 2, 0, None)
    np.fill_diagonal(distances, 0)
    perplexity = min(30.0, max(1.0, (len(matrix) - 1) / 3))
    return TSNE(
        metric="precomputed", init="random", perplexity=perplexity, random_state=seed % 2**32
    ).fit_transform(distances)


def stability(
    matrix: np.ndarray,
    stderr: np.ndarray,
    direction: str,
    *,
    clusters: int,
    seed: int = 0,
    repeats: int = 100,
    share: float = 0.8,
    laplacian: str = "normalised",
) -> Stability:
    """How far a clustering into K clusters survives other models and other images.

    matrix, stderr: (M, M) of one measure. Each repeat draws ``share`` of the models (at least K,
    and 2) and clusters them anew; and clusters all models again after adding normal noise of the
    measure's standard error over images to every pair, independently. A subset that is all models
    (as of two) cannot disagree, so ari_models_mean is 1.
    """
    rng = np.random.default_rng(seed)
    models = len(matrix)

    def labelled(matrix: np.ndarray) -> np.ndarray:
        return spectral(affinity(matrix, direction), clusters, seed, laplacian).labels

    whole = labelled(matrix)
    size = min(models, max(clusters, 2, round(share * models)))
    subsets, noisy = [], []
    spread = np.triu(stderr, 1)
    # No noise in place of noise of unknown size would look like stability.
    known = np.isfinite(spread).all()
    together, drawn = np.zeros((2, models, models))
    for _ in range(repeats):
        chosen = np.sort(rng.choice(models, size, replace=False))
        block = np.ix_(chosen, chosen)
        labels = labelled(matrix[block])
        subsets.append(adjusted_rand_score(whole[chosen], labels))
        together[block] += labels[:, None] == labels
        drawn[block] += 1
        noise = rng.standard_normal((models, models)) * spread
        if known:
            noisy.append(adjusted_rand_score(whole, labelled(matrix + noise + noise.T)))
    noisy = noisy if known else [math.nan]
    shares = np.divide(together, drawn, out=np.full_like(drawn, np.nan), where=drawn > 0)
    return Stability(
        float(np.mean(subsets)), float(np.std(subsets)), float(np.mean(noisy)), float(np.std(noisy)), shares
    )


def _check(affinity: np.ndarray, clusters: int | None) -> None:
    models = len(affinity)
    if models < 2:
        raise ModelkinError(f"clustering needs at least two models, not {models}; add models.")
    if clusters is not None and not 2 <= clusters <= models:
        raise ModelkinError(
            f"{models} models cannot be put into {clusters} clusters; choose a number from 2 to {models}."
        )
    weights = np.isfinite(affinity).all() and (affinity >= 0).all()
    if affinity.shape != (models, models) or not weights or not np.allclose(affinity, affinity.T):
        raise ModelkinError(
            "affinities must be a symmetric matrix of finite values, none below 0; "
            "modelkin.affinity makes one of similarities or distances."
        )


def _eigengap(eigenvalues: np.ndarray) -> int:
    """The K from 2 to max(2, M // 2) after whose eigenvalue the gap is widest."""
    gaps = np.diff(eigenvalues)[1 : max(2, len(eigenvalues) // 2)]
    # Rounded, or the rounding of equal gaps would choose.
    return 2 + int(np.argmax(gaps.round(9))) if len(gaps) else 2


def _by_appearance(labels: np.ndarray) -> np.ndarray:
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(int(label), len(numbers)) for label in labels])


def _embedding(vectors: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The second and third eigenvectors (M, 2), scaled to random-walk coordinates, with fixed signs."""
    two = np.zeros((len(vectors), 2))
    columns = vectors[:, 1:3] * scale[:, None]
    two[:, : columns.shape[1]] = columns
    # The first of the largest: two that are equal but for rounding must not decide by it.
    largest = two[np.abs(two).round(9).argmax(0), [0, 1]]
    return two * np.where(largest < 0, -1, 1)


def cluster_tables(
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    number: int | str,
    laplacian: str,
    repeats: int,
    share: float,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Tables clusters (a row per model), cluster_stability, spectra (a row per eigenvalue) and
    spectral_features (a row per model and eigenvector that k-means saw).

    number: of clusters, or 'eigengap'. ari_architecture and ari_level say how far the clusters are
    those of the architectures or of the robustness levels (adjusted Rand index); ari_other_laplacian,
    how far those by the other Laplacian.
    """
    wanted = None if number == "eigengap" else int(number)
    names_of_tables = ("clusters", "cluster_stability", "spectra", "spectral_features")
    made: dict[str, list] = {table: [] for table in names_of_tables}
    other = {"normalised": "unnormalised", "unnormalised": "normalised"}[laplacian]
    for measure, kind, rows in each_matrix(similarity):
        here = models[models["name"].isin(rows["model_a"])]
        names = list(here["name"])
        if len(names) < max(2, wanted or 2):
            LOG.warning("%s on %s probes: too few models are left to cluster", measure, kind)
            continue
        matrix = similarity_matrix(rows, names)
        near = affinity(matrix, directions[measure])
        found = spectral(near, wanted, seed, laplacian)
        points = t_sne(matrix, directions[measure], seed)
        which = {"measure": measure, "kind": kind}
        places = {"cluster": found.labels, "x": found.embedding[:, 0], "y": found.embedding[:, 1]}
        places |= {"t_sne_x": points[:, 0], "t_sne_y": points[:, 1]}
        made["clusters"].append(pd.DataFrame({**which, "model": names, **places}))
        made["spectra"].append(
            pd.DataFrame({**which, "rank": np.arange(1, len(names) + 1), "eigenvalue": found.eigenvalues})
        )
        stable = stability(
            matrix,
            similarity_matrix(rows, names, column="stderr"),
            directions[measure],
            clusters=found.clusters,
            seed=seed,
            repeats=repeats,
            share=share,
            laplacian=laplacian,
        )
        made["spectral_features"].append(
            pd.DataFrame(found.features, index=pd.Index(names, name="model"))
            .melt(var_name="rank", value_name="value", ignore_index=False)
            .reset_index()
            .assign(**which, rank=lambda rows: rows["rank"].astype(int) + 1)
        )
        kept = ("ari_models_mean", "ari_models_sd", "ari_samples_mean", "ari_samples_sd")
        made["cluster_stability"].append(
            {**which, "clusters": found.clusters}
            | {key: getattr(stable, key) for key in kept}
            | {
                "ari_architecture": adjusted_rand_score(here["architecture"], found.labels),
                "ari_other_laplacian": adjusted_rand_score(
                    spectral(near, found.clusters, seed, other).labels, found.labels
                ),
                "ari_level": adjusted_rand_score(here["eps"].astype(str), found.labels),
            }
        )
    return {
        "clusters": pd.concat(made["clusters"], ignore_index=True),
        "cluster_stability": pd.DataFrame(made["cluster_stability"]),
        "spectra": pd.concat(made["spectra"], ignore_index=True),
        "spectral_features": pd.concat(made["spectral_features"], ignore_index=True),
    }
