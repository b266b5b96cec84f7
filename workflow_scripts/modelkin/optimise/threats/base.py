"""What a threat is, and the random numbers of each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from modelkin import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy.module("torch")


class Perturbation(Protocol):
    """A differentiable map from an image and perturbation variables to the perturbed image.

    The variables live in a set that does not depend on the radius, which scales what they do to the image.

    Attributes
    ----------
    norm : {"l2", "linf"}
        Under which the variables are moved by steps of a given length.
    """

    norm: str

    def check(self, shape: Sequence[int]) -> None:
        """Raise ModelkinError if images of this shape (c, h, w) cannot be perturbed."""

    def draw(self, images: torch.Tensor, generator: torch.Generator | None) -> tuple[torch.Tensor, Drawn]:
        """Draw variables (n, ...) within their set, and what of each image's perturbation stays as drawn."""

    def project(self, variables: torch.Tensor) -> torch.Tensor:
        """Bring variables (n, ...) back into their set."""

    def apply(
        self, images: torch.Tensor, variables: torch.Tensor, radius: float, drawn: Drawn
    ) -> torch.Tensor:
        """Perturb images (n, c, h, w) in [0, 1] by variables (n, ...)."""


# Tensors whose first dimension is the image.
Drawn = tuple["torch.Tensor", ...]


@dataclass(frozen=True)
class Threat:
    """A family of changes to images.

    Attributes
    ----------
    distance : callable
        (images, changed), both (n, c, h, w) with pixels in [0, 1], to the size of each change, (n,).
    units : str
        Of the distance and of the radius.
    largest_radius : float or None
        Beyond which a radius allows no more changes; None if there is no such radius.
    perturbation : Perturbation or None
        What attacks move; None if it is the pixels themselves, within a ball of the norm of that name.
    probe : mapping
        Radius, steps, step size (in units of the radius) and random starts of attacks, where the config says
        nothing; empty if those of the config's section hold.
    training : mapping
        The keys ``attack_steps`` and ``attack_step`` of adversarial training, likewise.
    """

    distance: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    units: str
    largest_radius: float | None = None
    perturbation: Perturbation | None = None
    probe: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, float] = field(default_factory=dict)


def image_generators(count: int, generator: torch.Generator | None) -> list[torch.Generator]:
    """A generator for each image, so that what one draws depends neither on the others nor on the device."""
    device = "cpu" if generator is None else generator.device
    numbers = torch.randint(2**62, (count,), generator=generator, device=device)
    return [torch.Generator().manual_seed(number) for number in numbers.tolist()]
