"""Snow: flakes of any brightness that fall in streaks, few in each region of the image.

The Snow attack of Kang et al. (2019, *Testing robustness against unforeseen adversaries*), with the radius,
the budget and the steps of cianfarani2022. The paper adds snow to the image; the authors' code also makes the
image paler first, which no radius bounds, and which is left out here.
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

BUDGET = 0.15  # mean intensity of a map's flakes in a region, at the most
REGION = 8  # flakes, along each side
LEAST = 1e-9  # intensity of a flake; below, its gradient would vanish for good
POWER = 4  # of the intensity, which gives the brightness
KERNEL = 13  # pixels
WIDTHS, SHARES = (1, 3, 5), (0.6, 0.3, 0.1)  # of streaks, and how frequent they are
BLUR = (0.41, 0.6)  # range of the deviation of the streaks' Gaussian blur, in pixels
# Where the seven maps lie on the pixels, each with a flake in every fourth row and column.
PHASES = ((0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (3, 0))


class Snow:
    """Intensities of flakes (n, 7, h / 4, w / 4), of which each map falls in streaks of its own.

    In [0, 1], and of each region of 8 x 8 flakes of a map the mean is within the budget.
    """

    norm = "linf"

    def check(self, shape: Sequence[int]) -> None:
        """Images of every shape can be perturbed."""

    def draw(self, images: torch.Tensor, generator: torch.Generator | None) -> tuple[torch.Tensor, Drawn]:
        """Draw intensities whose logarithm is uniform, and the streaks (n, 7, 13, 13)."""
        height, width = (math.ceil(side / 4) for side in images.shape[2:])
        flakes, streaks = [], []
        for own in image_generators(len(images), generator):
            flakes.append(torch.exp(-torch.rand(len(PHASES), height, width, generator=own) / BUDGET))
            streaks.append(_drawn_streaks(own))
        return self.project(torch.stack(flakes).to(images)), (torch.stack(streaks).to(images),)

    def project(self, variables: torch.Tensor) -> torch.Tensor:
        """Intensities clipped to [0, 1] and, where a region's mean is beyond the budget, scaled down to it.

        As published; a projection, though not onto the nearest point.
        """
        flakes = variables.clamp(LEAST, 1)
        means = functional.avg_pool2d(flakes, REGION, ceil_mode=True, count_include_pad=False)
        scales = (BUDGET / means.clamp_min(BUDGET)).repeat_interleave(REGION, 2).repeat_interleave(REGION, 3)
        return flakes * scales[:, :, : flakes.shape[2], : flakes.shape[3]]

    def apply(
        self, images: torch.Tensor, variables: torch.Tensor, radius: float, drawn: Drawn
    ) -> torch.Tensor:
        """Add the snow, scaled by the radius, equally to all channels."""
        (streaks,) = drawn
        height, width = images.shape[2:]
        return (images + radius * snow(variables, streaks, height, width)).clamp(0, 1)


def snow(flakes: torch.Tensor, streaks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Snow (n, 1, height, width) of intensities (n, 7, h / 4, w / 4) and streaks (n, 7, 13, 13)."""
    n, _, rows, columns = flakes.shape
    maps_of_pixels = []
    for map_, (row, column) in zip((flakes**POWER).unbind(1), PHASES, strict=True):
        # Each flake is a pixel of a cell of 4 x 4, which is black otherwise.
        cell = functional.pad(map_.unsqueeze(-1).unsqueeze(-1), (column, 3 - column, row, 3 - row))
        maps_of_pixels.append(cell.transpose(2, 3).reshape(n, 4 * rows, 4 * columns)[:, :height, :width])
    # Each image has streaks of its own; Fourier transforms take a fraction of convolutions' time.
    padded = (height + KERNEL - 1, width + KERNEL - 1)
    spectra = [
        torch.fft.rfft2(part, s=padded) for part in (torch.stack(maps_of_pixels, dim=1), streaks.flip(2, 3))
    ]
    fallen = torch.fft.irfft2((spectra[0] * spectra[1]).sum(1, keepdim=True), s=padded)
    return fallen[:, :, KERNEL // 2 :, KERNEL // 2 :][:, :, :height, :width]


def _drawn_streaks(generator: torch.Generator) -> torch.Tensor:
    """Seven streaks (7, 13, 13) that lean the same way."""
    ends = torch.randint(2, KERNEL // 2 + 1, (len(PHASES), 2), generator=generator).tolist()
    chosen = torch.multinomial(torch.tensor(SHARES), len(PHASES), replacement=True, generator=generator)
    blurs = torch.rand(len(PHASES), generator=generator).tolist()
    streaks = torch.stack(
        [
            blurred(streak(down, right, WIDTHS[width]), BLUR[0] + blur * (BLUR[1] - BLUR[0]))
            for (down, right), width, blur in zip(ends, chosen.tolist(), blurs, strict=True)
        ]
    )
    return streaks.flip(2) if float(torch.rand((), generator=generator)) < 0.5 else streaks


def streak(down: int, right: int, width: int) -> torch.Tensor:
    """A line of that width through the middle, both ways to so many pixels down and right, (13, 13)."""
    if right < down:
        return streak(right, down, width).T
    half = KERNEL // 2 + 1
    along, across = torch.arange(half), torch.arange(half).unsqueeze(1)
    slope = down / right
    thickness = width * math.sqrt(1 + slope) / 2
    quarter = (1 + thickness / 2 - (across - slope * along).abs()).clamp(0, 1) * (along <= right)
    line = torch.zeros(KERNEL, KERNEL)
    line[half - 1 :, half - 1 :] = quarter
    line[:half, :half] = quarter.flip(0, 1)
    return line


def blurred(line: torch.Tensor, sigma: float) -> torch.Tensor:
    """A line (13, 13) under a Gaussian blur of 3 x 3 pixels."""
    weights = torch.exp(-0.5 * (torch.arange(-1.0, 2.0) / sigma) ** 2)
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    return functional.conv2d(line.view(1, 1, KERNEL, KERNEL), kernel.view(1, 1, 3, 3), padding=1)[0, 0]


def snow_distance(images: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """The mean brightness that was added to each image, pixels being in [0, 1], (n,)."""
    return (changed - images).flatten(1).mean(1)


THREAT = Threat(
    snow_distance,
    units="scale of the snow; distances in mean brightness added",
    perturbation=Snow(),
    probe={"radius": 2.0, "steps": 10, "step_size": 0.1, "starts": 1},
    training={"attack_steps": 4, "attack_step": 0.16},
)
