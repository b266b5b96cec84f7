"""Changes of the quantised coefficients of an image's JPEG whose L2 norm is bounded.

The JPEG attack of Kang et al. (2019, *Testing robustness against unforeseen adversaries*) under L2, with the
budget and the steps of cianfarani2022. Colours are averaged over 2 x 2 pixels as JPEG does it, and nothing is
rounded, so that without any change a colour image loses the detail of its colours, and a grey one nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.errors import ModelkinError
from modelkin.optimise.threats.base import Drawn, Threat, image_generators

if TYPE_CHECKING:
    import torch
    from torch.nn import functional
else:
    torch = lazy.module("torch")
    functional = lazy.module("torch.nn.functional")

BLOCK = 8
# RGB to luminance and two chrominances and back, as JFIF has them.
TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
# The tables of the standard's annex K.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)


class Jpeg:
    """Coefficients of luminance and, at half the size, of two chrominances; of grey images the former alone.

    The variables (n, coefficients) lie in the unit ball of L2; a coefficient changes by half the radius times
    its variable, in quantisation steps.
    """

    norm = "l2"

    def check(self, shape: Sequence[int]) -> None:
        """Raise ModelkinError unless blocks of 8 x 8 fill each plane of images of this shape (c, h, w)."""
        channels, height, width = shape
        side = BLOCK if channels == 1 else 2 * BLOCK
        if height % side or width % side:
            of = "grey" if channels == 1 else "colour"
            raise ModelkinError(
                f"the threat jpeg is not for {of} images of {height} x {width} pixels, whose sides {side} "
                "does not divide; take another threat, or images of another size."
            )

    def draw(self, images: torch.Tensor, generator: torch.Generator | None) -> tuple[torch.Tensor, Drawn]:
        """Draw points of the unit ball uniformly, (n, coefficients); nothing else is drawn."""
        self.check(images.shape[1:])
        count = images[0, 0].numel()
        if images.shape[1] == 3:
            count += count // 2
        points = []
        for own in image_generators(len(images), generator):
            towards = torch.randn(count, generator=own)
            length = float(torch.rand((), generator=own)) ** (1 / count)
            points.append(towards / torch.linalg.vector_norm(towards) * length)
        return torch.stack(points).to(images), ()

    def project(self, variables: torch.Tensor) -> torch.Tensor:
        """The nearest points of the unit ball."""
        length = torch.linalg.vector_norm(variables, dim=1, keepdim=True)
        return variables / length.clamp_min(1)

    def apply(
        self, images: torch.Tensor, variables: torch.Tensor, radius: float, drawn: Drawn
    ) -> torch.Tensor:
        """Change images' coefficients and decode them.

        The transform is linear and nothing is rounded: the coefficients' change is decoded alone and added.
        """
        planes = _planes(images)
        sizes = [plane[0].numel() for plane in planes]
        parts = (variables * (radius / 2)).split(sizes, dim=1)
        changed = [
            plane
            + _from_blocks(
                part.view(-1, plane.shape[1] // BLOCK, plane.shape[2] // BLOCK, BLOCK, BLOCK) * table
            )
            for plane, part, table in zip(planes, parts, _tables(images), strict=False)
        ]
        return (_image(changed) / 255).clamp(0, 1)


def jpeg_distance(images: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """Twice the L2 norm of the change of each image's coefficients in quantisation steps, (n,)."""
    parts = [
        (_to_blocks(after - before) / table).flatten(1)
        for before, after, table in zip(_planes(images), _planes(changed), _tables(images), strict=False)
    ]
    return 2 * torch.linalg.vector_norm(torch.cat(parts, dim=1), dim=1)


def _planes(images: torch.Tensor) -> list[torch.Tensor]:
    """Luminance (n, h, w) and, of colour images, chrominances (n, h / 2, w / 2), white being 255."""
    pixels = 255 * images
    if images.shape[1] == 1:
        return [pixels[:, 0]]
    y, *chroma = torch.einsum("kc,nchw->knhw", pixels.new_tensor(TO_YCBCR), pixels)
    return [y, *(functional.avg_pool2d(plane.unsqueeze(1), 2).squeeze(1) for plane in chroma)]


def _image(planes: list[torch.Tensor]) -> torch.Tensor:
    """The inverse of :func:`_planes`, but for the detail of the colours."""
    y, *chroma = planes
    if not chroma:
        return y.unsqueeze(1)
    full = torch.stack([y, *(plane.repeat_interleave(2, 1).repeat_interleave(2, 2) for plane in chroma)])
    return torch.einsum("ck,knhw->nchw", y.new_tensor(TO_RGB), full)


def _tables(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return tuple(images.new_tensor(table) for table in (LUMINANCE, CHROMINANCE, CHROMINANCE))


def _cosines(like: torch.Tensor) -> torch.Tensor:
    """The orthonormal discrete cosine transform of 8 values, (8, 8)."""
    rows = [
        [
            math.sqrt((1 if u == 0 else 2) / BLOCK) * math.cos((2 * x + 1) * u * math.pi / 16)
            for x in range(BLOCK)
        ]
        for u in range(BLOCK)
    ]
    return like.new_tensor(rows)


def _to_blocks(plane: torch.Tensor) -> torch.Tensor:
    """The coefficients (n, h / 8, w / 8, 8, 8) of a plane (n, h, w)."""
    n, height, width = plane.shape
    blocks = plane.view(n, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(2, 3)
    cosines = _cosines(plane)
    return cosines @ blocks @ cosines.T


def _from_blocks(coefficients: torch.Tensor) -> torch.Tensor:
    """The plane (n, h, w) of coefficients (n, h / 8, w / 8, 8, 8)."""
    n, rows, columns = coefficients.shape[:3]
    cosines = _cosines(coefficients)
    blocks = cosines.T @ coefficients @ cosines
    return blocks.transpose(2, 3).reshape(n, rows * BLOCK, columns * BLOCK)


THREAT = Threat(
    jpeg_distance,
    units="half quantisation steps of JPEG coefficients, L2",
    perturbation=Jpeg(),
    probe={"radius": 25.0, "steps": 10, "step_size": 0.04, "starts": 1},
    training={"attack_steps": 4, "attack_step": 0.064},
)
