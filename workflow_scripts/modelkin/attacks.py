"""Attacks: images near the given ones on which a model's loss is high. Only the loss is defined here;
the steps are the optimisation engine's, or those of other libraries (AutoAttack, VMI-FGSM).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Container, Iterator, Sequence

import numpy as np
import torch
import xarray as xr
from torch.nn.functional import cross_entropy

from modelkin import models
from modelkin.computing import Fitting
from modelkin.errors import ModelkinError
from modelkin.images import WHITE, Images, unit
from modelkin.optimise import Ball, Descent, Momentum, around

UNTARGETED = ["apgd-ce", "fab", "square"]
# (model, images (n, c, h, w), labels (n,)) -> images on which the model errs.
Attack = Callable[[torch.nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


def pgd(norm: str, radius: float, steps: int, step_size: float) -> Descent:
    """Projected gradient descent of Madry et al. (2018): the last iterate, no momentum."""
    return Descent(steps, Momentum(step_size, norm), Ball(norm, radius), keep="last")


def described(
    attack: str,
    norm: str,
    radius: float,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    **settings: float,
) -> Attack:
    """The attack that a config describes: pgd, mi_fgsm, vmi_fgsm or autoattack.

    settings: the other keys of the config's section (:data:`modelkin.config.ATTACKS`); step_size is in units
    of the radius. seed: of whatever is drawn. Raises ModelkinError if the attack is not one under this norm.
    """
    if attack in ("mi_fgsm", "vmi_fgsm") and norm != "linf":
        raise ModelkinError(f"adversarial: {attack} is an attack under linf; use norm: linf or attack: pgd.")
    generator = torch.Generator(device).manual_seed(seed)
    if attack == "autoattack":
        return _fitting(functools.partial(autoattack, norm=norm, radius=radius, seed=seed % 2**32))
    steps, size = int(settings["steps"]), settings["step_size"] * radius
    if attack == "vmi_fgsm":
        keys = ("momentum", "neighbours", "neighbourhood")
        about = {key: settings[key] for key in keys}
        varied = functools.partial(vmi_fgsm, radius=radius, steps=steps, step_size=size, **about)
        return _fitting(functools.partial(varied, generator=generator))
    descent = (
        pgd(norm, radius, steps, size)
        if attack == "pgd"
        else mi_fgsm(radius, steps, size, settings["momentum"])
    )
    return functools.partial(untargeted, attack=descent, starts=int(settings["starts"]), generator=generator)


def _fitting(attack: Attack) -> Attack:
    """An attack of another library, on so many images at a time as memory holds."""
    fitting = Fitting()

    def fitted(model, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.cat(fitting(functools.partial(attack, model), images, labels))

    return fitted


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


def vmi_fgsm(
    model,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    radius: float,
    steps: int,
    step_size: float,
    momentum: float = 1.0,
    neighbours: int = 5,
    neighbourhood: float = 1.5,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The variance-tuned momentum attack of Wang and He (2021) under Linf, by the library torchattack.

    neighbours: images (N) drawn around each iterate, by ``neighbourhood`` (beta) radii at most in each pixel.
    An image whose gradient vanishes moves no further.
    """
    from torchattack import VMIFGSM

    attack = VMIFGSM(
        model,
        device=images.device,
        eps=radius,
        steps=steps,
        alpha=step_size,
        decay=momentum,
        n=int(neighbours),
        beta=neighbourhood,
    )
    # It draws from torch's global generator.
    seed = int(torch.randint(2**62, (), generator=generator, device=generator and generator.device))
    with torch.random.fork_rng([images.device] if images.is_cuda else []), torch.enable_grad():
        torch.manual_seed(seed)
        return attack(images, labels).detach()


@torch.no_grad()
def right(model, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether the top-1 class of each image (n, c, h, w) is its label, (n,)."""
    return torch.cat(Fitting()(lambda x, y: model(x).argmax(1) == y, images, labels))


def parts(
    model,
    images: Images,
    attack: Callable[[int], Attack],
    *,
    norm: str,
    stored: str = "uint16",
    device: torch.device | str = "cpu",
    finished: Container[int] = (),
) -> Iterator[xr.Dataset | None]:
    """The adversarial probe of a model, made of these images at its own size, some rows at a time.

    attack: that of each part, by its number, so that what one draws does not depend on the others.
    norm: in which distances are measured. stored: uint16 or uint8, the pixels' type (see :func:`rounded`).
    Beside image and label: right (before), fooled and distance (after, of the pixels as stored), and lost:
    whether it was fooled before they were rounded and is not any more. Raises ModelkinError if the model
    returns NaN or infinite values. finished: numbers of parts that are not computed, for which None stands.
    """
    done = 0
    for number, (x, y) in enumerate(models.batches(model, images, device)):
        if number in finished:
            done += len(x)
            yield None
            continue
        before = _named(model, x) == y
        near = attack(number)(model, x, y)
        pixels = rounded(near.cpu().numpy(), x.cpu().numpy(), stored)
        after = torch.from_numpy(unit(pixels)).to(x)
        fooled = ~right(model, after, y)
        said = {
            "right": before,
            "fooled": fooled,
            "lost": ~right(model, near, y) & ~fooled,
            "distance": _length(after - x, norm),
        }
        rows = slice(done, done + len(x))
        done += len(x)
        probe = Images(pixels, images.labels[rows], images.ids[rows], images.classes)
        yield probe.to_dataset().assign({name: ("sample", v.cpu().numpy()) for name, v in said.items()})


def rounded(near: np.ndarray, images: np.ndarray, stored: str) -> np.ndarray:
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
def _named(model, images: torch.Tensor) -> torch.Tensor:
    """The top-1 class of each image, (n,); ModelkinError unless all logits are finite."""
    logits = torch.cat(Fitting()(model, images))
    if not torch.isfinite(logits).all():
        raise ModelkinError(
            "the model returns NaN or infinite values for images of the natural probe, so it cannot be "
            "attacked; mend its checkpoint or leave it out."
        )
    return logits.argmax(1)


def facts(probe: Sequence[xr.Dataset]) -> dict[str, float | int | None]:
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
