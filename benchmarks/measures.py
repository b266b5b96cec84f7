"""All pairs of many models by five measures, against packages called pair by pair and products alone."""

from __future__ import annotations

import itertools
import time

import numpy as np
import scipy.spatial
import torch
from ckatorch.core import cka_base
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from sklearn.metrics import accuracy_score
from sklearn.neighbors import NearestNeighbors

from benchmarks.base import Row, in_turn
from modelkin.comparison import measures

MODELS, SAMPLES, FEATURES, CLASSES, K = 24, 2000, 512, 10, 10
TRIED = 3  # pairs that a peer is timed on


def models() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Representations and logits that resemble each other, as those of models of one task do."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(SAMPLES, 40))
    representations = [
        (common @ rng.normal(size=(40, FEATURES)) + rng.normal(size=(SAMPLES, FEATURES))).astype(np.float32)
        for _ in range(MODELS)
    ]
    logits = [
        (common[:, :CLASSES] * 3 + rng.normal(size=(SAMPLES, CLASSES))).astype(np.float32)
        for _ in range(MODELS)
    ]
    return representations, logits


def jaccard(a, b) -> float:
    """Mean Jaccard index of the k nearest by cosine of centred rows, as revisiting has it."""
    a, b = a - a.mean(0), b - b.mean(0)
    near = [
        NearestNeighbors(n_neighbors=K + 1, metric="cosine")
        .fit(x)
        .kneighbors(x, return_distance=False)[:, 1:]
        for x in (a, b)
    ]
    both = (set(p) & set(q) for p, q in zip(*near, strict=True))
    return float(np.mean([len(common) / (2 * K - len(common)) for common in both]))


def procrustes(a, b) -> float:
    return 1 - np.sqrt(2 - 2 * np.sqrt(1 - scipy.spatial.procrustes(a, b)[2])) / 2


PEERS = {
    "linear_cka": (
        "ckatorch",
        lambda a, b: float(cka_base(torch.from_numpy(a), torch.from_numpy(b), "linear")),
    ),
    "procrustes": ("scipy", procrustes),
    "knn_jaccard": ("scikit-learn", jaccard),
    "agreement": ("scikit-learn", lambda a, b: accuracy_score(a.argmax(1), b.argmax(1))),
    "jensen_shannon": (
        "scipy",
        lambda a, b: 1 - float(np.mean(jensenshannon(softmax(a, 1), softmax(b, 1), base=2, axis=1) ** 2)),
    ),
}


def ours(name: str, values) -> tuple[float, dict]:
    """Seconds and values of all pairs."""
    measure, start = measures.get(name), time.perf_counter()
    parts = [measure.prepare(torch.from_numpy(x), **measure.settings) for x in values]
    found = {pair: measure.compare(*(parts[i] for i in pair)).value for pair in pairs()}
    return time.perf_counter() - start, found


def pairs():
    return itertools.combinations(range(MODELS), 2)


def peer(name: str, values, known: dict) -> tuple[float, float]:
    """Seconds that the peer would take for all pairs, from a few; the largest difference from ours."""
    _, compare = PEERS[name]
    few = list(pairs())[:TRIED]
    compare(*(values[i] for i in few[0]))
    start = time.perf_counter()
    found = {pair: compare(*(values[i] for i in pair)) for pair in few}
    taken = (time.perf_counter() - start) / len(few) * len(list(pairs()))
    return taken, max(abs(found[pair] - known[pair]) for pair in few)


def products(representations) -> float:
    """Seconds of the matrix products that cannot be avoided: each model's with itself (features and samples),
    and each pair's."""
    x = [torch.from_numpy(values) for values in representations]
    start = time.perf_counter()
    for a in x:
        a.T @ a, a @ a.T
    for i, j in pairs():
        x[i].T @ x[j]
    return time.perf_counter() - start


def procrustes_alone(representations) -> Row:
    """A pair with its standard error and one chance level, against the decomposition of its product."""
    measure = measures.get("procrustes")
    a, b = (measure.prepare(torch.from_numpy(x)) for x in representations[:2])
    shuffled = measure.permuted(b, torch.randperm(SAMPLES))
    whole, alone = in_turn(
        lambda: (measure.compare(a, b), measure.value_of(a, shuffled)),
        lambda: torch.linalg.svd(a["x"].T @ b["x"]),
        repeats=15,
    )
    what = "Procrustes similarity of a pair, its error and a chance level"
    return Row(what, "product and float64 SVD alone", whole / alone, 1.2, "x the time")


def rows() -> list[Row]:
    representations, logits = models()
    given = {
        name: representations if measures.get(name).takes == "representation" else logits for name in PEERS
    }
    found, total_ours, total_theirs, parts = [], 0.0, 0.0, {}
    for name, values in given.items():
        ours(name, values[:2] + values[:22])
        taken, known = ours(name, values)
        theirs, error = peer(name, values, known)
        total_ours, total_theirs = total_ours + taken, total_theirs + theirs
        parts[name] = taken
        found.append(
            Row(
                f"{measures.get(name).title}, all pairs of {MODELS} models",
                PEERS[name][0],
                theirs / taken,
                checked=f"differs by {error:.0e}",
            )
        )
    slowest = max(parts, key=parts.get)
    alone = products(representations)
    return [
        *found,
        procrustes_alone(representations),
        Row(f"five measures, all pairs of {MODELS} models", "the peers above", total_theirs / total_ours, 10),
        Row(
            "the same",
            "its matrix products alone",
            total_ours / alone,
            2.5,
            "x the time",
            limit=f"{parts[slowest] / total_ours:.0%} of the time is {slowest}; all but that: "
            f"{(total_ours - parts[slowest]) / alone:.1f} x",
        ),
    ]
