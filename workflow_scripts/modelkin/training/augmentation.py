"""Training images that differ each time that they are seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import pad


@dataclass(frozen=True)
class CropAndFlip:
    """Random crops of padded images, and random mirror images.

    Parameters
    ----------
    crop : int
        Pixels by which each side is padded with black before a crop of the old size is taken.
    flip : bool
        Whether every second image, by chance, is mirrored left to right.
    """

    crop: int = 0
    flip: bool = False

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """The images (n, c, h, w), each changed on its own by torch's global generator."""
        if self.crop:
            images = self._cropped(images)
        if self.flip:
            mirrored = (torch.rand(len(images)) < 0.5).to(images.device)
            images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
        return images

    def _cropped(self, images: torch.Tensor) -> torch.Tensor:
        number, channels, height, width = images.shape
        wide = pad(images, [self.crop] * 4)
        down, right = torch.randint(2 * self.crop + 1, (2, number, 1)).to(images.device)
        rows = (down + torch.arange(height, device=images.device))[:, None, :, None]
        columns = (right + torch.arange(width, device=images.device))[:, None, None, :]
        every = torch.arange(number, device=images.device).view(-1, 1, 1, 1)
        return wide[every, torch.arange(channels, device=images.device).view(1, -1, 1, 1), rows, columns]
