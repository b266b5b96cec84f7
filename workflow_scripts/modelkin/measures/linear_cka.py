"""Linear CKA, the biased estimator."""

from __future__ import annotations

import lazy_loader

from modelkin.measures.base import Estimate, Measure, centred, jackknife, same_samples

torch = lazy_loader.load("torch")


def prepare(x) -> dict:
    """x (n, p) -> centred matrix, and for each sample the quantities its removal needs."""
    x = centred(x)
    gram = x.T @ x
    return {"x": x, "own": _quadratic(x, x, gram), "total": _repeated(_frobenius2(gram), x)}


def compare(a: dict, b: dict) -> Estimate:
    """||A'B||^2 / (||A'A|| ||B'B||) with the exact delete-one jackknife.

    Without sample i the centred cross product is C - n/(n-1) a_i b_i', so all n leave-one-out
    values follow from C without recomputing it.
    """
    n = same_samples(a["x"], b["x"])
    cross = a["x"].T @ b["x"]
    hsic = _frobenius2(cross)
    value = hsic / (a["total"][0] * b["total"][0]).sqrt()
    if n < 3:
        return Estimate(float(value), float("nan"))
    norm_a, norm_b = (a["x"].double() ** 2).sum(1), (b["x"].double() ** 2).sum(1)
    shrink = n / (n - 1)

    def without(total, quadratic, weight):
        return total - 2 * shrink * quadratic + shrink**2 * weight

    top = without(hsic, _quadratic(a["x"], b["x"], cross), norm_a * norm_b)
    bottom = without(a["total"], a["own"], norm_a**2) * without(b["total"], b["own"], norm_b**2)
    return jackknife(value, top / bottom.clamp_min(torch.finfo(torch.float64).tiny).sqrt())


def _frobenius2(matrix):
    return torch.linalg.vector_norm(matrix, dtype=torch.float64) ** 2


def _quadratic(x, y, cross):
    """x_i' C y_i for each sample, (n,)."""
    return ((x @ cross).double() * y.double()).sum(1)


def _repeated(value, x):
    return value.expand(x.shape[0])


MEASURE = Measure(
    title="linear CKA",
    needs="representation",
    prepare=prepare,
    compare=compare,
    version=1,
    source="jones2022, equation (1)",
)
