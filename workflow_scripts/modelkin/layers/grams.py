"""Gram matrices of a layer's outputs, made ready for the unbiased HSIC, and their inner products.

It knows tensors, and nothing of networks, images or files.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from modelkin import precision

CHUNK_BYTES = 2**26  # of centred features at a time
STRIPS = 4  # of rows, in which only the upper half of a Gram matrix is multiplied out
PRODUCT_COLUMNS = 2**18  # entries of Gram matrices that are summed in float32 before float64 takes over
# Outputs are constant if what varies is so much smaller than what does not: squares of float32 noise.
CONSTANT = 1e-12
EQUIDISTANT = (
    1e-6  # of the trace, below which the U-centred matrix is noise: all samples are equally far apart
)
SMALLEST, LARGEST = 1e-25, 1e30  # between these a Gram matrix loses nothing in float32


class Gram(NamedTuple):
    """A U-centred Gram matrix as a direction and a length.

    Attributes
    ----------
    unit : Tensor of shape (n, n)
        Of Frobenius norm 1; zeros if the outputs are constant, NaN if any of them is not finite.
    norm : float
        The norm that was divided out; 0 or NaN accordingly.
    """

    unit: torch.Tensor
    norm: float


def u_centred_gram(output: torch.Tensor) -> Gram:
    """Multiply a layer's outputs with each other, and U-centre the result (Szekely and Rizzo 2014).

    The mean output is taken away first, which leaves HSIC as it is but keeps float32 from drowning what
    varies in what does not. Products are in float32 at the least, whatever the outputs' precision.

    Parameters
    ----------
    output : Tensor of shape (n, ...)
        For n samples, of at least four.

    Returns
    -------
    Gram
    """
    rows = rows_of(output)
    gram, level = _centred_product(rows)
    trace = float(gram.diagonal().sum(dtype=torch.float64))
    scale = 1.0
    if not SMALLEST < trace < LARGEST and trace != 0:
        largest = float(rows.abs().max())  # NaN if there is one
        if not 0 < largest < float("inf"):
            return Gram(torch.full_like(gram, float("nan")), float("nan"))
        scale = largest
        gram, level = _centred_product(rows.to(gram.dtype) / scale)
        trace = float(gram.diagonal().sum(dtype=torch.float64))
    if trace <= CONSTANT * len(rows) * level:
        return Gram(torch.zeros_like(gram), 0.0)
    _u_centre(gram)
    norm = float(torch.linalg.vector_norm(gram, dtype=torch.float64))
    if norm <= EQUIDISTANT * trace:
        return Gram(torch.zeros_like(gram), 0.0)
    return Gram(gram.div_(norm), norm * scale**2)


def rows_of(output: torch.Tensor) -> torch.Tensor:
    """A row of features for each sample, (n, p), in whichever order they lie in memory."""
    if output.ndim == 4 and output.is_contiguous(memory_format=torch.channels_last):
        output = output.movedim(1, -1)
    return output.flatten(1)


def inner_products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The inner product of each matrix of one stack with each of another.

    Parameters
    ----------
    a : Tensor of shape (k, n, n)
    b : Tensor of shape (l, n, n)

    Returns
    -------
    Tensor of float64, shape (k, l)
    """
    a, b = a.flatten(1), b.flatten(1)
    total = torch.zeros(len(a), len(b), dtype=torch.float64, device=a.device)
    with precision.full_products(a.device):
        for start in range(0, a.shape[1], PRODUCT_COLUMNS):
            here = slice(start, start + PRODUCT_COLUMNS)
            total += a[:, here] @ b[:, here].T
    return total


def row_products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """What each sample's row contributes to :func:`inner_products`.

    Parameters
    ----------
    a : Tensor of shape (k, n, n)
    b : Tensor of shape (l, n, n)

    Returns
    -------
    Tensor of shape (n, k, l)
        In the precision of ``a``.
    """
    with precision.full_products(a.device):
        return torch.stack([a[:, row] @ b[:, row].T for row in range(a.shape[1])])


def permuted(grams: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """The matrices (k, n, n) of the same samples in another order (n,)."""
    return grams[:, order][:, :, order]


def _centred_product(rows: torch.Tensor) -> tuple[torch.Tensor, float]:
    """X X' of the rows less their mean, and the squared norm of that mean."""
    wide = torch.promote_types(rows.dtype, torch.float32)
    gram = rows.new_zeros(len(rows), len(rows), dtype=wide)
    level = torch.zeros((), dtype=torch.float64, device=rows.device)
    columns = max(1, CHUNK_BYTES // (len(rows) * gram.element_size()))
    with precision.full_products(rows.device):
        for start in range(0, rows.shape[1], columns):
            part = rows[:, start : start + columns].to(wide)
            mean = part.mean(0)
            level += torch.linalg.vector_norm(mean, dtype=torch.float64) ** 2
            _add_upper_half(gram, part - mean)
    return gram.triu_().add_(gram.triu(1).T), float(level)


def _add_upper_half(gram: torch.Tensor, rows: torch.Tensor) -> None:
    """Add X X', of which what lies well below the diagonal is left out: it is symmetric."""
    step = -(-len(rows) // STRIPS)
    for start in range(0, len(rows), step):
        here = slice(start, start + step)
        gram[here, start:].addmm_(rows[here], rows[start:].T)


def _u_centre(gram: torch.Tensor) -> None:
    n = len(gram)
    gram.fill_diagonal_(0)
    sums = gram.sum(1, dtype=torch.float64)
    shift = (sums / (n - 2) - sums.sum() / (2 * (n - 1) * (n - 2))).to(gram.dtype)
    gram.sub_(shift).sub_(shift[:, None]).fill_diagonal_(0)
