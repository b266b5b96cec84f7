"""Spectral clustering of a matrix of similarities or distances between models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from modelkin.errors import ModelkinError


@dataclass(frozen=True)
class Clustering:
    """labels (M,) numbered in order of appearance; the number of clusters K; eigenvalues (M,) of the
    normalised Laplacian, rising; features (M, K) that k-means saw; embedding (M, 2) for a plot.
    """

    labels: np.ndarray
    clusters: int
    eigenvalues: np.ndarray
    features: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class Stability:
    """Adjusted Rand indices (mean, sd) of reclusterings against the whole: of random subsets of the
    models, and of matrices with the measure's own noise. together (M, M): the share of the subsets
    that held both models in which they fell into one cluster (NaN if none held both).
    """

    ari_models_mean: float
    ari_models_sd: float
    ari_samples_mean: float
    ari_samples_sd: float
    together: np.ndarray


def matrix(table: pd.DataFrame, models: list[str], column: str = "value") -> np.ndarray:
    """(M, M): one measure on one kind of probe, symmetric; the mean of the two directions there are.

    Raises ModelkinError if a pair is missing.
    """
    square = table.pivot_table(index="model_a", columns="model_b", values=column, dropna=False)
    square = square.reindex(index=models, columns=models).to_numpy(dtype=float)
    both = np.stack([square, square.T])
    known = np.isfinite(both)
    if not known.any(0).all():
        row, column_ = np.argwhere(~known.any(0))[0]
        raise ModelkinError(
            f"the table has no {column} for '{models[row]}' and '{models[column_]}'; every pair is needed."
        )
    return np.where(known, both, 0).sum(0) / known.sum(0)


def affinity(matrix: np.ndarray, direction: str) -> np.ndarray:
    """(M, M) non-negative weights with a zero diagonal, as Ng, Jordan and Weiss (2001) ask.

    Similarities below 0 count as 0; a distance d becomes exp(-d / median d off the diagonal).
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ModelkinError(f"a matrix of models must be square, not {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise ModelkinError("the matrix holds NaN or infinite values, so the models cannot be clustered.")
    if direction == "distance":
        typical = np.median(matrix[~np.eye(len(matrix), dtype=bool)])
        matrix = np.exp(-matrix / typical) if typical > 0 else (matrix <= 0).astype(float)
    weights = np.clip((matrix + matrix.T) / 2, 0, None)
    np.fill_diagonal(weights, 0)
    return weights


def spectral(affinity: np.ndarray, clusters: int | None = None, seed: int = 0) -> Clustering:
    """Normalised spectral clustering (Ng, Jordan and Weiss 2001) of an affinity (M, M).

    The rows of the K eigenvectors of I - D^-1/2 A D^-1/2 with the smallest eigenvalues, scaled to
    unit length, are clustered by k-means. (hwang2024 writes of the largest eigenvectors, which are
    the same ones for D^-1/2 A D^-1/2.) clusters None: the K at which the next eigenvalue is
    furthest away, from 2 to M/2. A model like no other is a point at the origin.

    >>> spectral(np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3)), clusters=2).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    models = len(affinity)
    if models < 2:
        raise ModelkinError("clustering needs at least two models.")
    if clusters is not None and not 1 <= clusters <= models:
        raise ModelkinError(f"{models} models cannot be put into {clusters} clusters.")
    degree = affinity.sum(1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    laplacian = np.eye(models) - scale[:, None] * affinity * scale
    eigenvalues, vectors = np.linalg.eigh(laplacian)
    if clusters is None:
        highest = max(2, models // 2)
        gaps = np.diff(eigenvalues)[1:highest]
        clusters = 2 + int(np.argmax(gaps)) if len(gaps) else 2
    features = vectors[:, :clusters]
    length = np.linalg.norm(features, axis=1, keepdims=True)
    features = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
    found = KMeans(clusters, n_init=20, random_state=seed % 2**32).fit(features).labels_
    return Clustering(_by_appearance(found), clusters, eigenvalues, features, _embedding(vectors, scale))


def stability(
    matrix: np.ndarray,
    stderr: np.ndarray,
    direction: str,
    *,
    clusters: int,
    seed: int = 0,
    repeats: int = 100,
    share: float = 0.8,
) -> Stability:
    """How far a clustering into K clusters survives other models and other images.

    matrix, stderr: (M, M) of one measure. Each repeat draws ``share`` of the models (at least K,
    and 2) and clusters them anew; and clusters all models again after adding normal noise of the
    measure's standard error over images to every pair.
    """
    rng = np.random.default_rng(seed)
    models = len(matrix)
    whole = spectral(affinity(matrix, direction), clusters, seed).labels
    size = min(models, max(clusters, 2, round(share * models)))
    subsets, noisy = [], []
    together, drawn = np.zeros((2, models, models))
    for _ in range(repeats):
        chosen = np.sort(rng.choice(models, size, replace=False))
        block = np.ix_(chosen, chosen)
        labels = spectral(affinity(matrix[block], direction), clusters, seed).labels
        subsets.append(adjusted_rand_score(whole[chosen], labels))
        together[block] += labels[:, None] == labels
        drawn[block] += 1
        noise = np.triu(rng.standard_normal((models, models)), 1) * np.nan_to_num(stderr)
        moved = affinity(matrix + noise + noise.T, direction)
        noisy.append(adjusted_rand_score(whole, spectral(moved, clusters, seed).labels))
    shares = np.divide(together, drawn, out=np.full_like(drawn, np.nan), where=drawn > 0)
    return Stability(
        float(np.mean(subsets)), float(np.std(subsets)), float(np.mean(noisy)), float(np.std(noisy)), shares
    )


def _by_appearance(labels: np.ndarray) -> np.ndarray:
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(int(label), len(numbers)) for label in labels])


def _embedding(vectors: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The second and third eigenvectors (M, 2), scaled to random-walk coordinates, with fixed signs."""
    two = np.zeros((len(vectors), 2))
    columns = vectors[:, 1:3] * scale[:, None]
    two[:, : columns.shape[1]] = columns
    largest = two[np.abs(two).argmax(0), [0, 1]]
    return two * np.where(largest < 0, -1, 1)
