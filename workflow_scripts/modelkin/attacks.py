"""Attacks: images near the given ones on which a model's loss is high. Only the loss is defined here;
the steps are the optimisation engine's.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from modelkin import models
from modelkin.computing import Fitting
from modelkin.errors import ModelkinError
from modelkin.images import Images
from modelkin.optimise import Ball, Descent, Momentum, around

UNTARGETED = ["apgd-ce", "fab", "square"]


def pgd(norm: str, radius: float, steps: int, step_size: float) -> Descent:
    """Projected gradient descent of Madry et al. (2018): the last iterate, no momentum."""
    return Descent(steps, Momentum(step_size, norm), Ball(norm, radius), keep="last")


def described(
    norm: str, radius: float, steps: int, step_size: float, momentum: float | None = None
) -> Descent:
    """The attack that a config describes: PGD, or MI-FGSM if it has momentum (Linf). step_size is in units of
    the radius.
    """
    if momentum is None:
        return pgd(norm, radius, steps, step_size * radius)
    if norm != "linf":
        raise ModelkinError("adversarial: momentum is that of MI-FGSM, which is an attack under linf.")
    return mi_fgsm(radius, steps, step_size * radius, momentum)


def mi_fgsm(radius: float, steps: int, step_size: float, decay: float = 1.0) -> Descent:
    """The momentum iterative attack of Dong et al. (2018) under Linf."""
    rule = Momentum(step_size, "linf", decay, of="gradient")
    return Descent(steps, rule, Ball("linf", radius), keep="last")


def untargeted(
    model,
    images: torch.Tensor,
    labels: torch.Tensor,
    attack: Descent,
    *,
    starts: int = 0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Images (n, c, h, w) on which the cross-entropy of their labels (n,) is driven up.

    starts: random starts in the ball, of which each image keeps that of the highest loss; with 0 the only
    start is the image itself.
    """
    return _attacked(model, images, labels, attack, -1, starts, generator)


def targeted(
    model,
    images: torch.Tensor,
    targets: torch.Tensor,
    attack: Descent,
    *,
    starts: int = 0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Images (n, c, h, w) on which the cross-entropy of other classes (n,) is driven down.

    starts: as in :func:`untargeted`.
    """
    return _attacked(model, images, targets, attack, 1, starts, generator)


def _attacked(model, images, labels, attack, sign: int, starts: int, generator) -> torch.Tensor:
    def losses(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return sign * cross_entropy(model(x), labels[index], reduction="none")

    if not starts:
        return attack.run(losses, images).images
    index, best, lowest = torch.arange(len(images), device=images.device), images, None
    for _ in range(starts):
        start = around(images, attack.ball, generator)
        found = attack.run(losses, start, centre=images).images
        with torch.no_grad():
            loss = losses(found, index)
        better = torch.ones_like(loss, dtype=torch.bool) if lowest is None else loss < lowest
        best = torch.where(better.view(-1, 1, 1, 1), found, best)
        lowest = loss if lowest is None else torch.where(better, loss, lowest)
    return best


def autoattack(
    model, images: torch.Tensor, labels: torch.Tensor, *, norm: str, radius: float, seed: int = 0
) -> torch.Tensor:
    """The standard AutoAttack of Croce and Hein (2020), by its authors' library.

    With fewer than four classes the targeted members of its ensemble are left out: they need more.
    """
    from pyautoattack import AutoAttack

    with torch.no_grad():
        classes = model(images[:1]).shape[1]
    chosen = {"version": "standard"} if classes > 3 else {"version": "custom", "attacks": UNTARGETED}
    names = {"l2": "L2", "linf": "Linf"}
    attack = AutoAttack(model, norm=names[norm], eps=radius, seed=seed, device=images.device, **chosen)
    attack.verbose = False
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = min(9, classes - 1)
    with torch.enable_grad():
        return attack.run_standard_evaluation(images, labels, batch_size=len(images))[0]


@torch.no_grad()
def right(model, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether the top-1 class of each image (n, c, h, w) is its label, (n,)."""
    return torch.cat(Fitting()(lambda x, y: model(x).argmax(1) == y, images, labels))


def parts(
    model,
    images: Images,
    attack: Descent,
    *,
    starts: int = 0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    finished: Container[int] = (),
) -> Iterator[xr.Dataset | None]:
    """The adversarial probe of a model, made of these images at its own size, some rows at a time.

    Beside image and label: right (before), fooled (after), and the distance moved in the attack's norm.
    finished: numbers of parts that are not computed, for which None stands; the others are as if all were.
    """
    done = 0
    for number, (x, y) in enumerate(models.batches(model, images, device)):
        if number in finished:
            for _ in range(starts):  # draw what their random starts took, so that the next ones are the same
                around(x, attack.ball, generator)
            done += len(x)
            yield None
            continue
        near = untargeted(model, x, y, attack, starts=starts, generator=generator)
        offset = (near - x).flatten(1)
        moved = (
            offset.abs().amax(1) if attack.ball.norm == "linf" else torch.linalg.vector_norm(offset, dim=1)
        )
        before, after = right(model, x, y), right(model, near, y)
        rows = slice(done, done + len(x))
        done += len(x)
        probe = Images(near.cpu().numpy(), images.labels[rows], images.ids[rows], images.classes)
        said = {"right": before, "fooled": ~after, "distance": moved}
        yield probe.to_dataset().assign({name: ("sample", v.cpu().numpy()) for name, v in said.items()})


def facts(probe: Sequence[xr.Dataset]) -> dict[str, float]:
    """Of the parts of a probe: right, the share of images; success, the share of these that are fooled
    (NaN if none is right); median distance moved.
    """
    right, fooled, distance = (
        np.concatenate([part[name].to_numpy() for part in probe]) for name in ("right", "fooled", "distance")
    )
    return {
        "images": len(right),
        "right": float(right.mean()),
        "success": float(fooled[right].mean()) if right.any() else float("nan"),
        "median_distance": float(np.median(distance)),
    }
