"""Spectral clustering of a matrix of similarities or distances between models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modelkin import lazy
from modelkin.errors import ModelkinError, unknown_name

if TYPE_CHECKING:
    from scipy import linalg
    from sklearn import manifold
else:
    linalg = lazy.module("scipy.linalg")
    manifold = lazy.module("sklearn.manifold")

SHUFFLES, SUBSETS = 99, 20  # of the null, and of the models in each
AT_ONCE = 2**22  # numbers, in matrices that are decomposed together


@dataclass(frozen=True)
class Clustering:
    """A spectral clustering of M models.

    Attributes
    ----------
    labels : ndarray of int, shape (M,)
        Numbered in order of appearance.
    clusters : int
        Their number K.
    eigenvalues : ndarray of shape (M,)
        Of the Laplacian, rising.
    features : ndarray of shape (M, K)
        The rows that tell models apart.
    embedding : ndarray of shape (M, 2)
        Coordinates for a plot.
    """

    labels: np.ndarray
    clusters: int
    eigenvalues: np.ndarray
    features: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True)
class Stability:
    """How far a clustering survives other models and images, by adjusted Rand indices against the whole.

    Attributes
    ----------
    ari_models_mean, ari_models_sd : float
        Over random subsets of the models; NaN if each would be all of them.
    ari_null_mean, ari_null_sd : float
        The same for matrices whose pairs are shuffled.
    ari_models_p : float
        Share of these matrices that are at least as stable, the one itself among them.
    ari_samples_mean, ari_samples_sd : float
        Over matrices with the measure's own noise; NaN if a standard error is.
    together : ndarray of shape (M, M)
        Share of the subsets with both models in which they are in one cluster; NaN if none holds both.
    """

    ari_models_mean: float
    ari_models_sd: float
    ari_null_mean: float
    ari_null_sd: float
    ari_models_p: float
    ari_samples_mean: float
    ari_samples_sd: float
    together: np.ndarray


def similarity_matrix(table: pd.DataFrame, models: list[str], column: str = "value") -> np.ndarray:
    """Make a symmetric matrix of one measure on one kind of probe, the mean of the two directions there are.

    Parameters
    ----------
    table : DataFrame
        Rows of the similarity table: model_a, model_b and ``column``.
    models : list of str
        In the order of the matrix.
    column : str
        "value" or "stderr"; for the latter the mean is an upper bound of that of the mean value.

    Returns
    -------
    ndarray of shape (M, M)
        NaN for pairs all of whose rows are.

    Raises
    ------
    ModelkinError
        If a pair has no row, or the table is of several measures or kinds.
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
    """Turn similarities or distances into the non-negative weights that spectral clustering takes.

    As in Ng, Jordan and Weiss (2001), step 1. Similarities below 0 count as 0; a distance d becomes exp(-d /
    m), m being the
    median distance of different models; if that is 0, equal models have weight 1 and others 0.

    Parameters
    ----------
    matrix : array_like of shape (M, M)
    direction : {"similarity", "distance"}

    Returns
    -------
    ndarray of shape (M, M)
        Symmetric, with a zero diagonal.

    Raises
    ------
    ModelkinError
        If the matrix is not square, or holds NaN or infinite values.
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
    return _weights(matrix[None], direction)[0]


def _weights(matrices: np.ndarray, direction: str) -> np.ndarray:
    """:func:`affinity` of each of R matrices (R, M, M) that are known to be finite."""
    models = matrices.shape[1]
    if direction == "distance" and models > 1:
        typical = np.median(matrices[:, ~np.eye(models, dtype=bool)], axis=1)
        spread, distances = typical > 0, matrices
        matrices = (distances <= 0).astype(float)
        matrices[spread] = np.exp(-distances[spread] / typical[spread, None, None])
    weights = np.clip((matrices + matrices.swapaxes(1, 2)) / 2, 0, None)
    weights[:, range(models), range(models)] = 0
    return weights


def spectral(affinity: np.ndarray, clusters: int | None = None, laplacian: str = "normalised") -> Clustering:
    """Cluster models by K eigenvectors of the Laplacian of their affinities.

    Eigenvectors become clusters by a pivoted QR decomposition (Damle, Minden and Ying 2019), which needs no
    start: the same matrix has the same clusters.

    A model like no other is a part of its own (eigenvalue 0, as in Chung 1997, Section 1.2) and stands at the
    origin of the
    embedding. If more than K parts have no affinity between them, which of them share a cluster is arbitrary.

    Parameters
    ----------
    affinity : ndarray of shape (M, M), M >= 2
        Of :func:`affinity`.
    clusters : int, optional
        K, from 2 to M. By default the one after which the next eigenvalue is furthest away, from 2 to
        max(2, M // 2), the smallest if tied.
    laplacian : {"normalised", "unnormalised"}
        Normalised (Ng, Jordan and Weiss 2001): rows of the eigenvectors of I - D^-1/2 A D^-1/2 with the
        smallest eigenvalues,
        scaled to unit length. Unnormalised: those of D - A, as they are. hwang2024, Section 4.1, cites the
        former and
        writes of D - A and its largest eigenvectors, which tell apart the models of the highest degrees and
        no
        clusters; it is the smallest ones of D - A that do what it describes.

    Returns
    -------
    Clustering

    Raises
    ------
    ModelkinError
        If there are fewer than two models, K is out of range, or the affinities are no symmetric finite
        weights.

    Examples
    --------
    >>> spectral(np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3)), clusters=2).labels.tolist()
    [0, 0, 0, 1, 1, 1]
    """
    affinity = np.asarray(affinity, dtype=float)
    _check(affinity, clusters)
    (matrix,), (scale,) = _laplacians(affinity[None], laplacian)
    eigenvalues, vectors = np.linalg.eigh(matrix)
    if clusters is None:
        clusters = _eigengap(eigenvalues)
    features = vectors[:, :clusters]
    if laplacian == "normalised":
        length = np.linalg.norm(features, axis=1, keepdims=True)
        features = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
    (found,) = _cluster_qr(vectors[None, :, :clusters])
    return Clustering(_by_appearance(found), clusters, eigenvalues, features, _embedding(vectors, scale))


def _laplacians(weights: np.ndarray, laplacian: str) -> tuple[np.ndarray, np.ndarray]:
    """The Laplacians (R, M, M) of affinities, and by what (R, M) their eigenvectors are scaled."""
    degree = weights.sum(2)
    connected = (degree > 0).astype(float)
    if laplacian == "normalised":
        scale = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
        return _diagonal(connected) - scale[:, :, None] * weights * scale[:, None], scale
    return _diagonal(degree) - weights, np.ones_like(degree)


def _diagonal(values: np.ndarray) -> np.ndarray:
    return values[:, :, None] * np.eye(values.shape[1])


def _cluster_qr(vectors: np.ndarray) -> np.ndarray:
    """Clusters (R, M) of K orthonormal eigenvectors (R, M, K): the K models that are most unlike each other
    are found by pivoted QR, and every model joins the one whose direction is nearest (Damle, Minden, Ying
    2019).
    """
    clusters = vectors.shape[2]
    # Rounded, or the rounding of equal lengths would choose.
    rounded = vectors.swapaxes(1, 2).round(9)
    # LAPACK itself, for the checks around it would take most of the time of thousands of small matrices.
    pivots = np.stack([linalg.lapack.dgeqp3(each)[1][:clusters] - 1 for each in rounded])
    chosen = np.take_along_axis(vectors, pivots[:, :, None], axis=1)
    left, _, right = np.linalg.svd(chosen.swapaxes(1, 2))
    return np.abs(vectors @ left @ right).round(9).argmax(2)


def t_sne(matrix: np.ndarray, direction: str, seed: int = 0) -> np.ndarray:
    """Place models in the plane by t-SNE (van der Maaten and Hinton 2008), as in hwang2024's Fig. 1.

    Distances between far-off points mean nothing. The perplexity is 30, for few models a third of the others.

    Parameters
    ----------
    matrix : ndarray of shape (M, M), M >= 2
        Similarities, whose distances are how far they are below the highest of them, or distances.
    direction : {"similarity", "distance"}
    seed : int

    Returns
    -------
    ndarray of shape (M, 2)
    """
    distances = matrix if direction == "distance" else matrix.max() - matrix
    distances = np.clip((distances + distances.T) / 2, 0, None)
    np.fill_diagonal(distances, 0)
    perplexity = min(30.0, max(1.0, (len(matrix) - 1) / 3))
    return manifold.TSNE(
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
    """Measure how far a clustering into K clusters survives other models and other images.

    Each repeat clusters a random subset of the models anew; and all models after adding normal noise of the
    measure's standard error to every pair, independently. A subset that is all models cannot disagree, so
    there is no stability then. Any matrix is somewhat stable: 99 matrices whose pairs are shuffled say how
    much.

    Parameters
    ----------
    matrix, stderr : ndarray of shape (M, M)
        Of one measure.
    direction : {"similarity", "distance"}
    clusters : int
        K.
    seed : int
    repeats : int
    share : float
        Of the models in each subset, of which there are at least K and 2.
    laplacian : {"normalised", "unnormalised"}

    Returns
    -------
    Stability
    """
    rng = np.random.default_rng(seed)
    models = len(matrix)

    # Clusters (R, m) of R matrices of as many models each.
    def labelled(matrices: Sequence[np.ndarray]) -> np.ndarray:
        laplacians, _ = _laplacians(_weights(np.stack(matrices), direction), laplacian)
        return _cluster_qr(np.linalg.eigh(laplacians)[1][:, :, :clusters])

    whole = spectral(affinity(matrix, direction), clusters, laplacian).labels  # which checks them too
    size = min(models, max(clusters, 2, round(share * models)))
    spread = np.triu(stderr, 1)
    # No noise in place of noise of unknown size would look like stability.
    known = np.isfinite(spread).all()
    subsets, noisy, shuffled = [], [], []
    together, times = np.zeros((2, models, models))
    at_once = max(1, AT_ONCE // models**2)
    for start in range(0, repeats, at_once):
        chosen, noises = [], []
        for _ in range(start, min(start + at_once, repeats)):
            chosen.append(np.sort(rng.choice(models, size, replace=False)))
            noises.append(rng.standard_normal((models, models)) * spread)
        every = labelled([matrix[np.ix_(some, some)] for some in chosen])
        for some, found in zip(chosen, every, strict=True):
            subsets.append(_adjusted_rand(whole[some], found))
            block = np.ix_(some, some)
            together[block] += found[:, None] == found
            times[block] += 1
        if known:
            every = labelled([matrix + noise + noise.T for noise in noises])
            noisy += [_adjusted_rand(whole, found) for found in every]
    noisy = noisy if known else [math.nan]
    if size < models:
        nulls = np.random.default_rng([seed, SHUFFLES])
        for _ in range(SHUFFLES):
            null = _shuffled(matrix, nulls)
            shuffled.append(_stability_of(null, labelled, size, min(SUBSETS, repeats), nulls))
    shares = np.divide(together, times, out=np.full_like(times, np.nan), where=times > 0)
    if size == models:
        subsets = shuffled = [math.nan]
    as_stable = np.asarray(shuffled) >= np.mean(subsets)
    return Stability(
        float(np.mean(subsets)),
        float(np.std(subsets)),
        float(np.mean(shuffled)),
        float(np.std(shuffled)),
        float((1 + as_stable.sum()) / (1 + SHUFFLES)) if size < models else math.nan,
        float(np.mean(noisy)),
        float(np.std(noisy)),
        shares,
    )


def _shuffled(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A symmetric matrix whose pairs of different models have each other's values."""
    whole = np.array(matrix, dtype=float)
    upper = np.triu_indices(len(whole), 1)
    whole[upper] = rng.permutation(((whole + whole.T) / 2)[upper])
    whole.T[upper] = whole[upper]
    return whole


def _stability_of(
    matrix: np.ndarray,
    labelled: Callable[[Sequence[np.ndarray]], np.ndarray],
    size: int,
    subsets: int,
    rng: np.random.Generator,
) -> float:
    """Mean adjusted Rand index of the clusters of so many models drawn at random with those of all."""
    (whole,) = labelled([matrix])
    chosen = [np.sort(rng.choice(len(matrix), size, replace=False)) for _ in range(subsets)]
    labels = labelled([matrix[np.ix_(some, some)] for some in chosen])
    return float(np.mean([_adjusted_rand(whole[some], of) for some, of in zip(chosen, labels, strict=True)]))


def _adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    """The index of scikit-learn, whose checks take most of its time on thousands of small clusterings."""

    def pairs(sizes: np.ndarray) -> float:
        return float((sizes * (sizes - 1)).sum() / 2)

    both = pairs(np.bincount(a * (b.max() + 1) + b))
    of_a, of_b, every = pairs(np.bincount(a)), pairs(np.bincount(b)), len(a) * (len(a) - 1) / 2
    most, expected = (of_a + of_b) / 2, of_a * of_b / every
    return 1.0 if most == expected else (both - expected) / (most - expected)


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
