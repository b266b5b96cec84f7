"""How good a model is: accuracy on clean and on attacked images, agreement with another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from modelkin.data.images import Images
from modelkin.networks import classifier
from modelkin.networks.classifier import Classifier
from modelkin.optimise.attacks.autoattack import run_autoattack
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import least_starts, pgd_descent


def evaluate_model(
    model: Classifier,
    images: Images,
    *,
    norm: str,
    radius: float,
    steps: int,
    step_size: float,
    samples: int | None = None,
    autoattack: int = 0,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Clean accuracy on all of these images, and accuracies under attack at the model's own size.

    norm: the threat, a name of :mod:`modelkin.optimise.threats`; radius and step_size are in its units.
    samples: so many images are attacked by PGD, at equal distances in their order (None: all); autoattack: so
    many by AutoAttack (Croce and Hein 2020) at the same radius; None is its accuracy without any.
    at_chance: clean accuracy is not significantly (one-sided 1 %) above that of always naming the
    commonest class.
    """
    from scipy.stats import binomtest  # slow to import, and seldom needed

    pgd, starts = pgd_descent(norm, radius, steps, step_size), _starts(norm, seed, device)
    found: dict[str, Any] = {
        "clean_accuracy": model_accuracy(model, images, device),
        "adversarial_accuracy": model_accuracy(
            model,
            images.spread(samples),
            device,
            attack=lambda x, y: untargeted(model, x, y, pgd, **starts),
        ),
        "autoattack_accuracy": None,
    }
    if autoattack:
        found["autoattack_accuracy"] = model_accuracy(
            model,
            images.spread(autoattack),
            device,
            attack=lambda x, y: run_autoattack(model, x, y, norm=norm, radius=radius, seed=seed),
        )
    commonest = np.bincount(images.labels).max() / len(images)
    right = round(found["clean_accuracy"] * len(images))
    chance = binomtest(right, len(images), commonest, alternative="greater").pvalue > 0.01
    return found | {"at_chance": bool(chance), "evaluated": len(images.spread(samples))}


def model_accuracy(
    model: Classifier,
    images: Images,
    device: torch.device | str = "cpu",
    attack: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> float:
    """Share of images whose top-1 class is their label, after an attack (x, y) -> x if one is given."""
    right = 0
    for x, y in classifier.model_batches(model, images, device):
        right += int(classifier.is_right(model, x if attack is None else attack(x, y), y).sum())
    return right / len(images)


def losses_and_accuracies(
    model: Classifier,
    images: Images,
    device: torch.device | str = "cpu",
    *,
    norm: str,
    radius: float,
    steps: int,
    step_size: float,
    seed: int = 0,
) -> dict[str, float]:
    """How a frozen model does on images as they are, and attacked by PGD from the images themselves.

    Parameters
    ----------
    model : Classifier
    images : Images
    device : torch.device or str
    norm, radius, steps, step_size
        Of the attack, as in :func:`evaluate_model`.
    seed : int
        Of its random start, if the threat has no other.

    Returns
    -------
    dict
        Mean cross-entropy in nats and share of right answers: ``loss``, ``accuracy``, ``adversarial_loss``
        and ``adversarial_accuracy``.
    """
    pgd, starts = pgd_descent(norm, radius, steps, step_size), _starts(norm, seed, device)
    sums = dict.fromkeys(("loss", "accuracy", "adversarial_loss", "adversarial_accuracy"), 0.0)
    for x, y in classifier.model_batches(model, images, device):
        for prefix, shown in (("", x), ("adversarial_", untargeted(model, x, y, pgd, **starts))):
            with torch.no_grad():
                logits = model(shown).double()
            sums[f"{prefix}loss"] += float(cross_entropy(logits, y, reduction="sum"))
            sums[f"{prefix}accuracy"] += int((logits.argmax(1) == y).sum())
    return {key: total / len(images) for key, total in sums.items()}


def _starts(threat: str, seed: int, device: torch.device | str) -> dict[str, Any]:
    """How PGD starts: at the images themselves, or once at random where a threat has no such start."""
    return {"starts": least_starts(threat), "generator": torch.Generator(device).manual_seed(seed)}


@torch.no_grad()
def model_agreement(
    a: Classifier, b: Classifier, images: Images, device: torch.device | str = "cpu"
) -> float:
    """Share of images to which two models give the same top-1 class."""
    same = sum(
        int(classifier.is_right(a, x, b(x).argmax(1)).sum())
        for x, _ in classifier.model_batches(a, images, device)
    )
    return same / len(images)
