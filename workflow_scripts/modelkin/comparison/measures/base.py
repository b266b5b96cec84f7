"""What a measure is: a part computed once for each model, and a part computed for each pair."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from modelkin import lazy, probe_kinds
from modelkin.errors import ModelkinError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import ArrayLike
else:
    np = lazy.module("numpy")
    torch = lazy.module("torch")

ROUNDING = 1e-6  # a difference below this share of its terms is float32 noise
BOUNDARIES = ("regions", "distances")  # what measures need of boundaries; the rest is of activations
OWN = ("saliency", *BOUNDARIES)
LABELLED = re.compile(r"([a-z_]+)([0-9]+)$")
# What may be done to what one of the models computed, without a measure's noticing.
INVARIANCES = {
    "permutation": "features in another order",
    "rotation": "any rotation or reflection of the features",
    "scale": "all values times one positive number",
    "shift": "the same vector added to all samples",
    "row_shift": "a number added to all values of a sample, another for each",
}


class Estimate(NamedTuple):
    """A measure's value on one pair of models, and how sure it is.

    Attributes
    ----------
    value : float
    stderr : float
        Standard error over samples; NaN if it is undefined.
    n : int, optional
        Samples on which the value rests; None if these are all.
    """

    value: float
    stderr: float
    n: int | None = None


@dataclass(frozen=True, kw_only=True)
class Described:
    """What tables and figures say of a measure, wherever its values are from.

    Attributes
    ----------
    title : str
    source : str
        Paper and equation.
    takes : {"representation", "logits", "saliency", "outcomes", "regions", "distances"}
        What it compares.
    probes : tuple of str
        How the images were made on which it can be taken.
    bounds : tuple of float
        Its lowest and highest value.
    direction : {"similarity", "distance"}
    symmetric : bool
        Whether the order of the two models does not matter.
    unit : str
    chance : bool
        Whether permuting one model's samples tells what chance would give.
    definition : str
        What the number is, in a sentence.
    unrelated : str
        What models with nothing in common have: seldom 0, and other for other samples and features.
    """

    title: str
    source: str  # paper and equation
    takes: str  # representation, logits, saliency, outcomes, regions or distances
    probes: tuple[str, ...] = ("natural", "inverted")
    bounds: tuple[float, float] = (0.0, 1.0)
    direction: str = "similarity"  # or distance
    symmetric: bool = True  # whether compare(a, b) and compare(b, a) are the same
    unit: str = "1"
    chance: bool = True  # whether permuting one model's samples tells what chance would give
    definition: str = ""
    unrelated: str = ""

    def measurable(self, kind: str) -> bool:
        """Tell whether it can be taken on a kind of probe.

        Saliency and boundaries need labels that all models know, so they are only those of the study's own
        dataset.

        Parameters
        ----------
        kind : str
            See :mod:`modelkin.probe_kinds`.

        Returns
        -------
        bool
        """
        return probe_kinds.origin_of(kind) in self.probes and not (
            self.takes in OWN and probe_kinds.other_dataset_of(kind)
        )


@dataclass(frozen=True, kw_only=True)
class Measure(Described):
    """A measure in two halves: what is computed once for each model, and what for each pair.

    Attributes
    ----------
    prepare : callable
        ``prepare(x, **settings)`` of what one model computed, a tensor whose first dimension is samples;
        returns
        a dictionary of tensors, each with samples first.
    compare : callable
        ``compare(a, b)`` of two such dictionaries; returns an :class:`Estimate`.
    version : int
        Raised when the values change.
    settings : dict
        The settings of ``prepare`` with their defaults.
    value : callable, optional
        ``value(a, b)``, the value that ``compare`` gives without its standard error, for chance levels.
    permute : callable, optional
        ``permute(prepared, order)``, for measures whose prepared part names samples.
    invariances : tuple of str
        Those of :data:`INVARIANCES` that hold, and no other does. Empty where what it takes are no features.
    square : bool
        Whether it prepares numbers for every pair of samples, so that memory grows with their square.
    setting_words : dict of str
        How figures say a setting, with ``{}`` for its value; the others are said by their names.
    """

    prepare: Callable[..., dict[str, torch.Tensor]]
    compare: Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], Estimate]
    version: int
    settings: dict[str, int] = field(default_factory=dict)
    value: Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], float] | None = None
    permute: Callable[[dict[str, torch.Tensor], torch.Tensor], dict[str, torch.Tensor]] | None = None
    invariances: tuple[str, ...] = ()
    square: bool = False
    setting_words: dict[str, str] = field(default_factory=dict)

    def value_of(self, a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
        """Compare two prepared parts without a standard error.

        Parameters
        ----------
        a, b : dict
            What ``prepare`` returned.

        Returns
        -------
        float
        """
        return self.compare(a, b).value if self.value is None else self.value(a, b)

    def permuted(self, prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
        """Reorder the samples of a prepared part.

        Parameters
        ----------
        prepared : dict
            What ``prepare`` returned.
        order : Tensor of int, shape (n,)
            New sample i is old sample ``order[i]``.

        Returns
        -------
        dict
        """
        if self.permute is not None:
            return self.permute(prepared, order)
        return {key: value[order] for key, value in prepared.items()}


@dataclass(frozen=True)
class ConfiguredMeasure:
    """A measure as one study uses it.

    Attributes
    ----------
    name : str
    settings : dict of int
        What the config gives it.
    """

    name: str
    settings: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name that stands in tables and file names: that of the measure, and its settings.

        Returns
        -------
        str
        """
        return "-".join([self.name, *(f"{key}{value}" for key, value in self.settings.items())])

    @classmethod
    def of(cls, label: str) -> ConfiguredMeasure:
        """Read a label, the inverse of :attr:`label`.

        Parameters
        ----------
        label : str

        Returns
        -------
        ConfiguredMeasure

        Raises
        ------
        ModelkinError
            If it is no label.
        """
        name, *settings = label.split("-")
        found = [LABELLED.match(setting) for setting in settings]
        if None in found:
            raise ModelkinError(f"'{label}' is not the label of a measure with its settings.")
        return cls(name, {each[1]: int(each[2]) for each in found if each})


def checked(x: ArrayLike | torch.Tensor, what: str = "activations") -> torch.Tensor:
    """Check activations, and flatten each sample's to a row.

    Parameters
    ----------
    x : array_like or Tensor of shape (n, ...)
        Integers and half precision are promoted to float32.
    what : str
        How an error calls them.

    Returns
    -------
    Tensor of shape (n, p)

    Raises
    ------
    ModelkinError
        If there are fewer than two samples, no values, or NaN or infinite ones.
    """
    x = torch.as_tensor(x)
    if x.ndim < 2:
        raise ModelkinError(f"{what} must have a sample and a feature dimension, not shape {tuple(x.shape)}.")
    x = x.flatten(1)
    if x.shape[0] < 2:
        raise ModelkinError(f"{what} need at least two samples, not {x.shape[0]}.")
    if x.shape[1] < 1:
        raise ModelkinError(f"{what} hold no values for their samples.")
    if x.dtype not in (torch.float32, torch.float64):
        x = x.float()
    if not torch.isfinite(x).all():
        raise ModelkinError(f"{what} contain NaN or infinite values.")
    return x


def of_one_type(
    a: ArrayLike | torch.Tensor, b: ArrayLike | torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make tensors of two arrays, both of the wider of their types, float32 at least.

    Parameters
    ----------
    a, b : array_like or Tensor

    Returns
    -------
    tuple of Tensor
    """
    a, b = _tensor(a), _tensor(b)
    # Half precision and integers would meet in half precision, where 70,000 is infinite.
    wider = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return a.to(wider), b.to(wider)


def _tensor(x: ArrayLike | torch.Tensor) -> torch.Tensor:
    # torch takes no reversed views of numpy arrays.
    return x if isinstance(x, torch.Tensor) else torch.as_tensor(np.ascontiguousarray(x))


def same_samples(a: torch.Tensor, b: torch.Tensor) -> int:
    """Count the samples of two tensors.

    Parameters
    ----------
    a, b : Tensor of shape (n, ...)

    Returns
    -------
    int

    Raises
    ------
    ModelkinError
        If they differ in number.
    """
    if a.shape[0] != b.shape[0]:
        raise ModelkinError(f"the two models were given {a.shape[0]} and {b.shape[0]} samples.")
    return a.shape[0]


def centred(x: torch.Tensor) -> torch.Tensor:
    """Subtract the mean of each column, and scale the whole to a largest entry of 1.

    Means are taken in float64. Scaling keeps squares in float32 from overflowing or vanishing.

    Parameters
    ----------
    x : Tensor of shape (n, p)

    Returns
    -------
    Tensor of shape (n, p)
        In the precision of ``x``.

    Raises
    ------
    ModelkinError
        If the rows are all the same, up to rounding.
    """
    x = checked(x, "representations")
    wide = x.double()
    wide = wide - wide.mean(0)
    scale = wide.abs().amax()
    if float(scale) <= 1e-12 * max(1e-300, float(x.double().abs().amax())):
        raise ModelkinError("representations are the same for all samples; no similarity is defined.")
    # Scaled to unit size so that squares neither overflow nor vanish in float32.
    return (wide / scale).to(x.dtype)


def narrowed(x: torch.Tensor) -> torch.Tensor:
    """Rotate centred features into the n - 1 dimensions that n samples span, if there are more features.

    Nothing that rotations of the features leave alone changes but by rounding.

    Parameters
    ----------
    x : Tensor of shape (n, p)
        Its columns have mean 0.

    Returns
    -------
    Tensor of shape (n, min(p, n - 1))
    """
    n, p = x.shape
    if p < n:
        return x
    return torch.linalg.qr(x.double().T, mode="r").R.T[:, : n - 1].to(x.dtype)


def same_outputs(a: torch.Tensor, b: torch.Tensor) -> int:
    """Count the samples of two models' logits.

    Parameters
    ----------
    a, b : Tensor of shape (n, C)

    Returns
    -------
    int

    Raises
    ------
    ModelkinError
        If samples or classes differ in number.
    """
    if a.shape[1] != b.shape[1]:
        raise ModelkinError(f"the two models have {a.shape[1]} and {b.shape[1]} classes.")
    return same_samples(a, b)


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Take the log of the softmax in float64, so that far-off classes keep their weight.

    Parameters
    ----------
    logits : Tensor of shape (n, C)

    Returns
    -------
    Tensor of shape (n, C)
    """
    return torch.log_softmax(checked(logits, "logits").double(), dim=1)


def frobenius2(matrix: torch.Tensor, dim: int | None = None) -> torch.Tensor:
    """Sum the squares of all entries, or of those along a dimension, in float64.

    Parameters
    ----------
    matrix : Tensor
    dim : int, optional

    Returns
    -------
    Tensor
    """
    return torch.linalg.vector_norm(matrix, dim=dim, dtype=torch.float64) ** 2


def quadratic(x: torch.Tensor, y: torch.Tensor, cross: torch.Tensor) -> torch.Tensor:
    """Take the bilinear form x_i' C y_i of each sample, in float64.

    Parameters
    ----------
    x : Tensor of shape (n, p)
    y : Tensor of shape (n, q)
    cross : Tensor of shape (p, q)
        The matrix C.

    Returns
    -------
    Tensor of shape (n,)
    """
    return ((x @ cross).double() * y.double()).sum(1)


def repeated(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Repeat one number for all samples, as an entry of what a measure prepares.

    Parameters
    ----------
    value : Tensor of shape ()
    x : Tensor of shape (n, ...)

    Returns
    -------
    Tensor of shape (n,)
    """
    return value.expand(x.shape[0])


def mean_of(values: torch.Tensor) -> Estimate:
    """Estimate the mean of per-sample values, with its delete-one jackknife standard error s / sqrt(n).

    Parameters
    ----------
    values : Tensor of shape (n,)

    Returns
    -------
    Estimate
    """
    values = values.double()
    return Estimate(float(values.mean()), float(values.std(correction=1)) / values.numel() ** 0.5)


def jackknife(value: float | torch.Tensor, left_out: torch.Tensor) -> Estimate:
    """Join a value with the delete-one jackknife standard error (Efron and Stein 1981).

    Parameters
    ----------
    value : float
        Of all n samples.
    left_out : Tensor of shape (n,)
        The values without each of the samples.

    Returns
    -------
    Estimate
    """
    left_out = left_out.double()
    n = left_out.numel()
    spread = ((left_out - left_out.mean()) ** 2).sum()
    return Estimate(float(value), float(((n - 1) / n * spread).sqrt()))
