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


class Estimate(NamedTuple):
    """A measure's value on one pair and its standard error over samples (NaN if undefined).

    n: the samples that it rests on, None if these are all.
    """

    value: float
    stderr: float
    n: int | None = None


@dataclass(frozen=True, kw_only=True)
class Described:
    """What tables and figures say of a measure, wherever its values are from."""

    title: str
    source: str  # paper and equation
    takes: str  # representation, logits, saliency, outcomes, regions or distances
    probes: tuple[str, ...] = ("natural", "inverted")
    bounds: tuple[float, float] = (0.0, 1.0)
    direction: str = "similarity"  # or distance
    symmetric: bool = True  # whether compare(a, b) and compare(b, a) are the same
    unit: str = "1"
    chance: bool = True  # whether permuting one model's samples tells what chance would give

    def measurable(self, kind: str) -> bool:
        """Whether it can be taken on a kind of probe. Saliency and boundaries need labels that all models
        know, so they are only those of the study's own dataset."""
        return probe_kinds.origin_of(kind) in self.probes and not (
            self.takes in OWN and probe_kinds.other_dataset_of(kind)
        )


@dataclass(frozen=True, kw_only=True)
class Measure(Described):
    """One measure of similarity between two models on one probe.

    ``prepare(x, **settings)`` takes what the measure needs of one model (a tensor whose first
    dimension is samples) and returns a dictionary of tensors, each with samples first.
    ``compare(a, b)`` takes two of those and returns an :class:`Estimate`.
    """

    prepare: Callable[..., dict[str, torch.Tensor]]
    compare: Callable[[dict[str, torch.Tensor], dict[str, torch.Tensor]], Estimate]
    version: int
    settings: dict[str, int] = field(default_factory=dict)
    permute: Callable[[dict[str, torch.Tensor], torch.Tensor], dict[str, torch.Tensor]] | None = None

    def permuted(self, prepared: dict[str, torch.Tensor], order: torch.Tensor) -> dict[str, torch.Tensor]:
        """The prepared part of the same model with its samples in another order.

        order: integer tensor (n,); new sample i is old sample order[i].
        """
        if self.permute is not None:
            return self.permute(prepared, order)
        return {key: value[order] for key, value in prepared.items()}


@dataclass(frozen=True)
class ConfiguredMeasure:
    """A measure as one study uses it. Its label stands in tables and file names."""

    name: str
    settings: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return "-".join([self.name, *(f"{key}{value}" for key, value in self.settings.items())])

    @classmethod
    def of(cls, label: str) -> ConfiguredMeasure:
        """The inverse of :attr:`label`."""
        name, *settings = label.split("-")
        found = [LABELLED.match(setting) for setting in settings]
        if None in found:
            raise ModelkinError(f"'{label}' is not the label of a measure with its settings.")
        return cls(name, {each[1]: int(each[2]) for each in found if each})


def checked(x: ArrayLike | torch.Tensor, what: str = "activations") -> torch.Tensor:
    """x as a float tensor (n, p): finite, two-dimensional, at least two samples and one feature.

    Raises ModelkinError otherwise. Integers and half precision are promoted to float32.
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
    """a and b as tensors of the wider of their types, float32 at least."""
    a, b = _tensor(a), _tensor(b)
    # Half precision and integers would meet in half precision, where 70,000 is infinite.
    wider = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return a.to(wider), b.to(wider)


def _tensor(x: ArrayLike | torch.Tensor) -> torch.Tensor:
    # torch takes no reversed views of numpy arrays.
    return x if isinstance(x, torch.Tensor) else torch.as_tensor(np.ascontiguousarray(x))


def same_samples(a: torch.Tensor, b: torch.Tensor) -> int:
    """The common number of samples of two tensors; ModelkinError if they differ."""
    if a.shape[0] != b.shape[0]:
        raise ModelkinError(f"the two models were given {a.shape[0]} and {b.shape[0]} samples.")
    return a.shape[0]


def centred(x: torch.Tensor) -> torch.Tensor:
    """x (n, p) less its column means, taken in float64 and returned in x's own precision."""
    x = checked(x, "representations")
    wide = x.double()
    wide = wide - wide.mean(0)
    scale = wide.abs().amax()
    if float(scale) <= 1e-12 * max(1e-300, float(x.double().abs().amax())):
        raise ModelkinError("representations are the same for all samples; no similarity is defined.")
    # Scaled to unit size so that squares neither overflow nor vanish in float32.
    return (wide / scale).to(x.dtype)


def narrowed(x: torch.Tensor) -> torch.Tensor:
    """Centred x (n, p) rotated into the n - 1 dimensions that its samples span, if p is larger: (n, n - 1).

    Nothing that rotations of the features leave alone changes but by rounding.
    """
    n, p = x.shape
    if p < n:
        return x
    return torch.linalg.qr(x.double().T, mode="r").R.T[:, : n - 1].to(x.dtype)


def same_outputs(a: torch.Tensor, b: torch.Tensor) -> int:
    """The common number of samples of two models' logits; ModelkinError if these or the classes differ."""
    if a.shape[1] != b.shape[1]:
        raise ModelkinError(f"the two models have {a.shape[1]} and {b.shape[1]} classes.")
    return same_samples(a, b)


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Log of the softmax of logits (n, C), in float64, so that far-off classes keep their weight."""
    return torch.log_softmax(checked(logits, "logits").double(), dim=1)


def frobenius2(matrix: torch.Tensor, dim: int | None = None) -> torch.Tensor:
    """The sum of squares, of all entries or along a dimension, accumulated in float64."""
    return torch.linalg.vector_norm(matrix, dim=dim, dtype=torch.float64) ** 2


def quadratic(x: torch.Tensor, y: torch.Tensor, cross: torch.Tensor) -> torch.Tensor:
    """x_i' C y_i for each sample, (n,), in float64."""
    return ((x @ cross).double() * y.double()).sum(1)


def repeated(value: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One number for all samples, as an entry of what a measure prepares."""
    return value.expand(x.shape[0])


def mean_of(values: torch.Tensor) -> Estimate:
    """The mean of per-sample values and its delete-one jackknife standard error, s / sqrt(n)."""
    values = values.double()
    return Estimate(float(values.mean()), float(values.std(correction=1)) / values.numel() ** 0.5)


def jackknife(value: float | torch.Tensor, left_out: torch.Tensor) -> Estimate:
    """value with the delete-one jackknife standard error of the n leave-one-out values."""
    left_out = left_out.double()
    n = left_out.numel()
    spread = ((left_out - left_out.mean()) ** 2).sum()
    return Estimate(float(value), float(((n - 1) / n * spread).sqrt()))
