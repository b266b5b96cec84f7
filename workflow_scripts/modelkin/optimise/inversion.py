"""Representation inversion: images that a model cannot tell from given ones (jones2022, Section 3.2)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
import xarray as xr

from modelkin.batching import batch_rows
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks.classifier import resized
from modelkin.optimise.descent import Descent
from modelkin.optimise.inversion_modes import DEFAULTS
from modelkin.optimise.steps import InTurn, Momentum, QuasiNewton

PUBLISHED, FAST = DEFAULTS["published"], DEFAULTS["fast"]
PART_BYTES = 2**27  # of images that are inverted before any is written


@dataclass(frozen=True)
class Inverted:
    """images (n, c, h, w); relative loss (n,); steps taken (n,); L2 distance from the seed (n,)."""

    images: torch.Tensor
    loss: torch.Tensor
    steps: torch.Tensor
    distance: torch.Tensor

    @classmethod
    def joined(cls, parts: Sequence[Inverted]) -> Inverted:
        """Several, one after the other."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def facts(self) -> dict[str, float]:
        """Medians and 90th percentile: what tells whether the inversion worked."""
        loss = self.loss.double().cpu().numpy()
        return {
            "images": len(loss),
            "median_loss": float(np.median(loss)),
            "loss_90": float(np.quantile(loss, 0.9)),
            "median_steps": float(np.median(self.steps.cpu().numpy())),
            "median_distance": float(np.median(self.distance.double().cpu().numpy())),
        }

    @classmethod
    def told(cls, stored: xr.Dataset) -> Inverted:
        """What a stored probe says of how it came out, without its images: images (n, 0)."""
        loss, steps, distance = (
            torch.from_numpy(stored[key].values) for key in ("loss", "steps", "distance")
        )
        return cls(loss.new_zeros(len(loss), 0), loss, steps, distance)

    def to_dataset(self, pairs: pd.DataFrame, classes: list[str]) -> xr.Dataset:
        """The probe as a store: images labelled as their targets, and how each came out.

        pairs: as :func:`modelkin.data.probes.seed_target_pairs` returns them, in the order of the images.
        """
        probe = Images(
            self.images.cpu().numpy(), pairs["target_label"].to_numpy(), pairs["sample"].to_numpy(), classes
        )
        values = {"loss": self.loss, "steps": self.steps, "distance": self.distance}
        return probe.to_dataset().assign({k: ("sample", v.cpu().numpy()) for k, v in values.items()})


def published(
    steps: int = PUBLISHED["steps"],
    step_size: float = PUBLISHED["step_size"],
    momentum: float = PUBLISHED["momentum"],
    schedule: str = PUBLISHED["schedule"],
    stop_below: float | None = PUBLISHED["stop_below"],
) -> Descent:
    """The descent of jones2022: steps along the normalised gradient, with momentum; the best iterate is kept.

    step_size is in L2 units of pixels in [0, 1]; schedule and stop_below as in
    :mod:`modelkin.optimise.descent`.
    """
    return Descent(steps, Momentum(step_size, decay=momentum, schedule=schedule), stop_below=stop_below)


def fast(
    steps: int = FAST["steps"],
    step_size: float = FAST["step_size"],
    momentum: float = FAST["momentum"],
    finish_below: float = FAST["finish_below"],
    memory: int = FAST["memory"],
    stop_below: float = FAST["stop_below"],
) -> Descent:
    """Published steps until a sample's relative loss is under ``finish_below``, then quasi-Newton ones until
    it is under ``stop_below``.

    The first steps decide which of the images that the model cannot tell apart is found, and with it every
    similarity, so they are the paper's; the last ones only decide how soon. memory: as in
    :class:`~modelkin.optimise.steps.QuasiNewton`.
    """
    rule = InTurn(Momentum(step_size, decay=momentum), QuasiNewton(memory), finish_below)
    return Descent(steps, rule, stop_below=stop_below)


MODES = {"published": published, "fast": fast}


def invert(
    model,
    seeds: torch.Tensor,
    targets: torch.Tensor,
    descent: Descent | None = None,
    *,
    batch_size: int | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Inverted:
    """From each seed image, an image whose representation is that of its target image.

    seeds, targets: (n, c, h, w) in [0, 1], on the model's device. The loss of a sample is
    ||rep(x) - rep(target)|| / ||rep(target)||. Raises ModelkinError if a target's representation
    is zero or not finite, for then that loss is undefined.
    """
    if seeds.shape != targets.shape:
        raise ModelkinError(f"seeds {tuple(seeds.shape)} and targets {tuple(targets.shape)} differ in shape.")
    with torch.no_grad():
        wanted = torch.cat([model.representation(part) for part in targets.split(batch_size or len(targets))])
    norms = torch.linalg.vector_norm(wanted, dim=1)
    if not torch.isfinite(norms).all():
        raise ModelkinError("the model's representations of the targets contain NaN or infinite values.")
    if (norms == 0).any():
        raise ModelkinError(
            f"the model's representation is zero for {int((norms == 0).sum())} of {len(norms)} targets, "
            "so no relative loss is defined; it has probably failed to train: give it `retired: true`."
        )

    def losses(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        offset = model.representation(x) - wanted[index]
        return torch.linalg.vector_norm(offset, dim=1) / norms[index]

    found = (descent or fast()).run(losses, seeds, batch_size=batch_size, progress=progress)
    distance = torch.linalg.vector_norm((found.images - seeds).flatten(1), dim=1)
    return Inverted(found.images, found.losses, found.steps, distance)


def inversion_parts(
    model,
    images: Images,
    pairs: pd.DataFrame,
    descent: Descent,
    *,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
) -> Iterator[Callable[[], xr.Dataset]]:
    """The inverted probe of a model at its own size in parts, so that all need not be in memory.

    pairs: ids of ``images``, as :func:`modelkin.data.probes.seed_target_pairs` draws them. Each part is a
    function that inverts some of the pairs and returns :meth:`Inverted.to_dataset` of them. progress: as in
    :meth:`modelkin.optimise.descent.Descent.run`, counted over all parts that are computed.
    """
    rows = max(1, PART_BYTES // (4 * images.shape[0] * model.size**2))
    batch_size = batch_size or batch_rows(model.size, device)
    before = 0

    def inverted(start: int) -> xr.Dataset:
        nonlocal before
        part, now = pairs.iloc[start : start + rows], 0

        def report(done: int, evaluations: int, loss: float) -> None:
            nonlocal now
            now = evaluations
            if progress is not None:
                progress(start + done, before + evaluations, loss)

        seeds, targets = (
            resized(
                torch.from_numpy(images.floats(images.rows(part[role]))).to(device), model.size, model.resize
            )
            for role in ("seed", "target")
        )
        found = invert(model, seeds, targets, descent, batch_size=batch_size, progress=report)
        before += now
        return found.to_dataset(part, images.classes)

    for start in range(0, len(pairs), rows):
        yield functools.partial(inverted, start)
