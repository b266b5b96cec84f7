"""Gabor noise: sparse points, each drawn as the same ripples, over the whole image.

The Gabor attack of Kang et al. (2019, *Testing robustness against unforeseen adversaries*), whose noise is
that of Co et al. (2019), with the budget and the steps of cianfarani2022. All points may move, as the paper
has it; the authors' code keeps those still with which it starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.optimise.threats.base import Drawn, Threat, image_generators

if TYPE_CHECKING:
    import torch
    from torch.nn import functional
else:
    torch = lazy.module("torch")
    functional = lazy.module("torch.nn.functional")

KERNEL = 23  # pixels
DENSITY = 1 / 14  # share of the pixels at which the start has a point
FLOOR = 1e-3  # of a deviation by which the noise is divided, in units of the largest
SIDES, SIGMA, FREQUENCY = (1, 10), (0.1, 0.4), (3.0, KERNEL / 4)  # ranges; lengths in units of the kernel


class Gabor:
    """Points (n, 1, h, w) in [-1, 1], convolved with a kernel that is drawn for each image."""

    norm = "linf"

    def check(self, shape: Sequence[int]) -> None:
        """Images of every shape can be perturbed."""

    def draw(self, images: torch.Tensor, generator: torch.Generator | None) -> tuple[torch.Tensor, Drawn]:
        """Draw sparse points, and the kernels (n, 23, 23)."""
        pixels = images[0, 0].numel()
        points = torch.zeros(len(images), pixels)
        kernels = []
        for row, own in zip(points, image_generators(len(images), generator), strict=True):
            chosen = torch.randperm(pixels, generator=own)[: max(1, round(DENSITY * pixels))]
            row[chosen] = 2 * torch.rand(len(chosen), generator=own) - 1
            sides = int(torch.randint(SIDES[0], SIDES[1] + 1, (), generator=own))
            shares = torch.rand(3, generator=own).tolist()
            sigma, frequency = (
                low + share * (high - low)
                for share, (low, high) in zip(shares[:2], (SIGMA, FREQUENCY), strict=True)
            )
            kernels.append(gabor_kernel(sides, sigma, frequency, math.pi * shares[2]))
        return points.view(-1, 1, *images.shape[2:]).to(images), (torch.stack(kernels).to(images),)

    def project(self, variables: torch.Tensor) -> torch.Tensor:
        """The nearest points in [-1, 1]."""
        return variables.clamp(-1, 1)

    def apply(
        self, images: torch.Tensor, variables: torch.Tensor, radius: float, drawn: Drawn
    ) -> torch.Tensor:
        """Add noise in [0, radius], in units of 1 / 255, equally to all channels."""
        (kernels,) = drawn
        noise = functional.conv2d(
            variables.transpose(0, 1), kernels.unsqueeze(1), padding=KERNEL // 2, groups=len(images)
        )
        return (images + radius / 255 * normalised(noise.transpose(0, 1))).clamp(0, 1)


def gabor_kernel(sides: int, sigma: float, frequency: float, theta: float) -> torch.Tensor:
    """The sum of ripples in so many directions, the first of them theta, (23, 23).

    sigma: of the Gaussian that bounds them, in units of the kernel's width. frequency: ripples in that width.
    """
    line = torch.linspace(-0.5, 0.5, KERNEL)
    y, x = line.unsqueeze(1), line.unsqueeze(0)
    angles = [theta + math.pi * side / sides for side in range(sides)]
    ripples = sum(
        torch.cos(2 * math.pi * frequency * (x * math.cos(angle) + y * math.sin(angle))) for angle in angles
    )
    return torch.exp(-0.5 * (x**2 + y**2) / (sigma + 1e-3) ** 2) * ripples


def normalised(noise: torch.Tensor) -> torch.Tensor:
    """Noise (n, 1, h, w) whose deviations from the mean are made nearly equal, scaled to [0, 1].

    No gradient goes through what it is divided and shifted by, as in the authors' code. Noise that is the
    same everywhere is none.
    """
    fixed = noise.detach()
    mean = fixed.mean(dim=(1, 2, 3), keepdim=True)
    deviation = (fixed - mean).abs()
    largest = deviation.amax(dim=(1, 2, 3), keepdim=True)
    gain = (FLOOR + 1) / (FLOOR + deviation / torch.where(largest > 0, largest, 1))
    sharpened = mean + (noise - mean) * gain
    low, high = (
        extreme(sharpened.detach(), dim=(1, 2, 3), keepdim=True) for extreme in (torch.amin, torch.amax)
    )
    return torch.where(largest > 0, (sharpened - low) / torch.where(high > low, high - low, 1), 0 * noise)


def gabor_distance(images: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """The largest change of a pixel of each image in units of 1 / 255, (n,)."""
    return 255 * (changed - images).flatten(1).abs().amax(1)


THREAT = Threat(
    gabor_distance,
    units="1/255 of a pixel, largest change",
    largest_radius=255.0,
    perturbation=Gabor(),
    probe={"radius": 75.0, "steps": 10, "step_size": 0.05, "starts": 1},
    training={"attack_steps": 4, "attack_step": 0.08},
)
