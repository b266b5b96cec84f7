"""Hard-label distillation: a student learns the true labels and a teacher's answers (hwang2024, Sec. 5.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, pad


@dataclass(frozen=True)
class Distillation:
    """The loss (1 - weight) CE(true label) + weight CE(teacher's label), on augmented images.

    The teacher labels the augmented images that the student sees, so it says something that the
    training labels do not. shift: pixels; noise: standard deviation of pixels in [0, 1].
    """

    weight: float
    shift: int
    noise: float

    def augment(self, x: torch.Tensor) -> torch.Tensor:
        """Images (b, c, h, w), each shifted at random (edges repeated) and given Gaussian noise."""
        if self.shift:
            size, span = x.shape[2:], 2 * self.shift + 1
            wide = pad(x, [self.shift] * 4, mode="replicate")
            offsets = torch.randint(span, (len(x), 2), device="cpu").tolist()
            moved = [
                image[:, i : i + size[0], j : j + size[1]]
                for image, (i, j) in zip(wide, offsets, strict=True)
            ]
            x = torch.stack(moved)
        return (x + self.noise * torch.randn_like(x)).clamp(0, 1)

    def objective(self, teacher):
        """The objective that ``training.fit`` takes, for one frozen teacher."""

        def loss(student, x: torch.Tensor, y: torch.Tensor, share: float):
            x = self.augment(x)
            with torch.no_grad():
                said = teacher(x).argmax(1)
            logits = student(x)
            return (1 - self.weight) * cross_entropy(logits, y) + self.weight * cross_entropy(
                logits, said
            ), logits

        return loss
