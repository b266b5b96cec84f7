"""How good a stitched model is, and in what it agrees with its donors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from modelkin.data.images import Images
from modelkin.networks.classifier import Classifier, is_right, model_batches
from modelkin.optimise.attacks.autoattack import run_autoattack
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent

Z = 1.959964  # of a two-sided 95 % interval


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of Wilson (1927) of a share of n; NaN for none."""
    if not n or share != share:
        return float("nan"), float("nan")
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * (share * (1 - share) / n + Z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


@torch.no_grad()
def predicted(model: Classifier, images: Images, device: torch.device | str = "cpu") -> np.ndarray:
    """The class that a model gives each image, (n,)."""
    classes = [model(x).argmax(1) for x, _ in model_batches(model, images, device)]
    return torch.cat(classes).cpu().numpy()


def judge(
    model: Classifier,
    images: Images,
    donors: Mapping[str, np.ndarray],
    *,
    attack: Mapping[str, Any],
    attacked: int,
    autoattack: int = 0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """What the table ``stitching`` says of a model.

    Parameters
    ----------
    model : Classifier
    images : Images
    donors : mapping of str to ndarray of shape (n,)
        What front and end answer to the same images.
    attack : mapping
        norm, radius, steps and step_size of PGD.
    attacked, autoattack : int
        Images, at equal distances in their order, that are attacked by PGD and by AutoAttack's "rand".
    seed : int
        Of AutoAttack.
    device : torch.device or str

    Returns
    -------
    dict
    """
    answers = predicted(model, images, device)
    found: dict[str, Any] = shares("accuracy", answers == images.labels)
    found |= {f"agreement_{role}": float((answers == given).mean()) for role, given in donors.items()}
    found["majority_share"] = float(np.bincount(answers).max() / len(answers))
    norm, radius = attack["norm"], attack["radius"]
    pgd = pgd_descent(norm, radius, attack["steps"], attack["step_size"])
    found |= shares(
        "robust_accuracy",
        _right(model, images.spread(attacked), device, lambda x, y: untargeted(model, x, y, pgd)),
    )
    strong = np.zeros(0)
    if autoattack:
        strong = _right(
            model,
            images.spread(autoattack),
            device,
            lambda x, y: run_autoattack(model, x, y, norm=norm, radius=radius, seed=seed, version="rand"),
        )
    return found | shares("autoattack_accuracy", strong)


def shares(name: str, right: np.ndarray) -> dict[str, float]:
    """A share with its interval and number under names of their own; NaN for no images."""
    share = float(right.mean()) if len(right) else float("nan")
    low, high = wilson(share, len(right))
    short = name.removesuffix("accuracy")
    return {name: share, f"{name}_low": low, f"{name}_high": high, f"{short}n": len(right)}


def _right(model, images: Images, device, attack) -> np.ndarray:
    right = [is_right(model, attack(x, y), y) for x, y in model_batches(model, images, device)]
    return torch.cat(right).cpu().numpy()


@torch.no_grad()
def distances(
    stitched: Classifier, end_front: nn.Module, end: Classifier, images: Images, device="cpu"
) -> dict[str, float]:
    """How far stitched values are from the end's own, and relative to how far those of images are apart.

    Root mean squares over images, and over pairs of different images.
    """
    squares, norms, n = 0.0, 0.0, 0
    about = total = torch.zeros(())
    front, stitch = (stitched.network.get_submodule(name) for name in ("front", "stitch"))
    for x, _ in model_batches(end, images, device):
        own = end_front(end.prepared(x)).double().flatten(1)
        given = stitch(front(stitched.prepared(x))).double().flatten(1)
        if not n:
            about = own.mean(0)
            total = torch.zeros_like(about)
        squares += float(((given - own) ** 2).sum())
        total += (own - about).sum(0)
        norms += float(((own - about) ** 2).sum())
        n += len(own)
    apart = 2 * (norms - float(total @ total) / n) / (n - 1) if n > 1 else float("nan")
    distance = (squares / n) ** 0.5
    return {"distance": distance, "distance_relative": distance / apart**0.5 if apart > 0 else float("nan")}
