"""Attacks: images near the given ones on which a model's loss is high. Only the loss is defined here;
the steps are the optimisation engine's, or those of other libraries (AutoAttack, VMI-FGSM).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import xarray as xr

from modelkin.batching import MemoryFittingBatches, batch_rows
from modelkin.data.images import WHITE, Images, unit_floats
from modelkin.errors import ModelkinError
from modelkin.networks.classifier import is_right, model_batch
from modelkin.optimise.attacks.base import Attack


def attack_parts(
    model,
    images: Images,
    attack: Callable[[int], Attack],
    *,
    norm: str,
    stored: str = "uint16",
    device: torch.device | str = "cpu",
) -> Iterator[Callable[[], xr.Dataset]]:
    """The adversarial probe of a model, made of these images at its own size, in parts.

    Each part is a function that attacks some of the images (:func:`attacked_chunk`). attack: that of each
    part, by its number, so that what one draws does not depend on the others.
    """
    rows = batch_rows(max(model.size, images.shape[-1]), device)
    for number, start in enumerate(range(0, len(images), rows)):
        part = images.pick(slice(start, start + rows))

        def attacked(number: int = number, part: Images = part) -> xr.Dataset:
            return attacked_chunk(model, part, attack(number), norm=norm, stored=stored, device=device)

        yield attacked


def attacked_chunk(
    model,
    images: Images,
    attack: Attack,
    *,
    norm: str,
    stored: str = "uint16",
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """Attacked images as they are stored, and how the attack went.

    norm: in which distances are measured. stored: uint16 or uint8, the pixels' type (see
    :func:`rounded_pixels`). Beside image and label: right (before), fooled and distance (after, of the pixels
    as stored), and lost: whether it was fooled before they were rounded and is not any more. Raises
    ModelkinError if the model returns NaN or infinite values.
    """
    x, y = model_batch(model, images, device)
    before = _finite_classes(model, x) == y
    near = attack(model, x, y)
    pixels = rounded_pixels(near.cpu().numpy(), x.cpu().numpy(), stored)
    after = torch.from_numpy(unit_floats(pixels)).to(x)
    fooled = ~is_right(model, after, y)
    said = {
        "right": before,
        "fooled": fooled,
        "lost": ~is_right(model, near, y) & ~fooled,
        "distance": _length(after - x, norm),
    }
    probe = Images(pixels, images.labels, images.ids, images.classes)
    return probe.to_dataset().assign({name: ("sample", v.cpu().numpy()) for name, v in said.items()})


def rounded_pixels(near: np.ndarray, images: np.ndarray, stored: str) -> np.ndarray:
    """Pixels (n, c, h, w) of attacked images as uint16 or uint8, white being the largest number.

    Rounded towards the images that they were made of, so that none leaves the attack's ball; a pixel that the
    type cannot tell from its own in ``images`` is the nearest that it can.
    """
    top = WHITE[stored]
    steps, own = np.rint(near * np.float64(top)), np.rint(images * np.float64(top))
    away = np.abs(steps / top - images) > np.abs(near - images) + 1e-6  # float32 noise is not distance
    return np.where(away, steps - np.sign(steps - own), steps).astype(stored)


def _length(offset: torch.Tensor, norm: str) -> torch.Tensor:
    """The size of each offset (n, c, h, w) in a norm, (n,)."""
    flat = offset.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else torch.linalg.vector_norm(flat, dim=1)


@torch.no_grad()
def _finite_classes(model, images: torch.Tensor) -> torch.Tensor:
    """The top-1 class of each image, (n,); ModelkinError unless all logits are finite."""
    logits = torch.cat(MemoryFittingBatches()(model, images))
    if not torch.isfinite(logits).all():
        raise ModelkinError(
            "the model returns NaN or infinite values for images of the natural probe, so it cannot be "
            "attacked; mend its checkpoint or leave it out."
        )
    return logits.argmax(1)


def probe_facts(probe: Sequence[xr.Dataset]) -> dict[str, float | int | None]:
    """Of the parts of a probe: right, the share of images; success, the share of these that are fooled (None
    if none is right); lost, how many of these were fooled until they were stored; median distance moved.
    """
    right, fooled, lost, distance = (
        np.concatenate([part[name].to_numpy() for part in probe])
        for name in ("right", "fooled", "lost", "distance")
    )
    return {
        "images": len(right),
        "right": float(right.mean()),
        "success": float(fooled[right].mean()) if right.any() else None,
        "lost": int((lost & right).sum()),
        "median_distance": float(np.median(distance)),
    }
