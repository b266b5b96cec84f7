"""Training classifiers: plain, adversarial (Madry et al. 2018) or TRADES (Zhang et al. 2019).

It knows nothing of files or of the config.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from modelkin import attacks, models
from modelkin.errors import ModelkinError
from modelkin.images import Images
from modelkin.models import Classifier, frozen

LOG = logging.getLogger("modelkin")
RECIPES = ("standard", "adversarial", "trades")


@dataclass(frozen=True)
class Schedule:
    """Optimiser settings: AdamW with a one-cycle learning rate that peaks at ``learning_rate``."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Robustness:
    """What the model is trained against.

    eps: L2 or Linf radius in units of pixels in [0, 1]; it grows from 0 over the first half of
    training. attack_step is in units of eps. trades_beta weighs TRADES' divergence term.
    """

    recipe: str
    eps: float
    norm: str = "l2"
    attack_steps: int = 3
    attack_step: float = 2 / 3
    trades_beta: float = 6.0

    def __post_init__(self):
        if self.recipe not in RECIPES:
            raise ModelkinError(f"the recipe is one of {', '.join(RECIPES)}, not '{self.recipe}'.")
        if (self.recipe == "standard") != (self.eps == 0):
            raise ModelkinError(f"recipe '{self.recipe}' does not go with eps {self.eps}.")

    def attack(self, share: float):
        """The attack when ``share`` of the training is done."""
        radius = self.eps * min(1.0, 2 * share)
        return attacks.pgd(self.norm, radius, self.attack_steps, self.attack_step * radius)

    def objective(self, model: Classifier, x: torch.Tensor, y: torch.Tensor, share: float):
        """The batch's loss and the logits on the images it was trained on, (b, C)."""
        if self.recipe == "trades":
            return self._trades(model, x, y, share)
        if self.recipe == "adversarial":
            model.eval()
            x = attacks.untargeted(model, x, y, self.attack(share))
            model.train()
        logits = model(x)
        return cross_entropy(logits, y), logits

    def _trades(self, model: Classifier, x: torch.Tensor, y: torch.Tensor, share: float):
        model.eval()
        with torch.no_grad():
            clean = softmax(model(x), 1)

        def losses(near: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            return -kl_div(log_softmax(model(near), 1), clean[index], reduction="none").sum(1)

        # The divergence has no gradient at x itself, so the attack starts a little beside it.
        start = (x + 1e-3 * torch.randn_like(x)).clamp(0, 1)
        near = self.attack(share).run(losses, start, centre=x).images
        model.train()
        logits, near_logits = model(x), model(near)
        divergence = kl_div(log_softmax(near_logits, 1), softmax(logits, 1), reduction="batchmean")
        return cross_entropy(logits, y) + self.trades_beta * divergence, near_logits


def fit(
    model: Classifier,
    images: Images,
    objective: Callable,
    schedule: Schedule,
    *,
    test: Images,
    device: torch.device | str = "cpu",
) -> Iterator[dict[str, float]]:
    """Train in place; yields after each epoch its loss and its accuracies on train and test images.

    objective(model, x, y, share) -> (loss, logits), share in [0, 1) being how much is done; train
    accuracy is that of the objective's logits. Shuffling uses torch's global generator. The
    parameters returned are frozen. Raises ModelkinError when the loss is no longer finite.
    """
    model.to(device).requires_grad_(True)
    x, y = (torch.from_numpy(np.asarray(values)).to(device) for values in (images.pixels, images.labels))
    batches = math.ceil(len(x) / schedule.batch_size)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.learning_rate, total_steps=schedule.epochs * batches
    )
    for epoch in range(schedule.epochs):
        model.train()
        loss_sum = right = seen = 0
        for number, rows in enumerate(torch.randperm(len(x)).to(device).split(schedule.batch_size)):
            share = (epoch + number / batches) / schedule.epochs
            loss, logits = objective(model, _unit(x[rows]), y[rows], share)
            if not torch.isfinite(loss):
                raise ModelkinError(
                    f"training diverged in epoch {epoch + 1}: the loss is {loss.item()}; "
                    "lower learning_rate or eps."
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            loss_sum += float(loss.detach()) * len(rows)
            right += int((logits.argmax(1) == y[rows]).sum())
            seen += len(rows)
        model.eval()
        yield {
            "epoch": epoch + 1,
            "loss": loss_sum / seen,
            "train_accuracy": right / seen,
            "test_accuracy": accuracy(model, test, device),
        }
    frozen(model)


def train(
    images: Images,
    test: Images,
    settings: Mapping[str, Any],
    *,
    seed: int,
    objective: Callable | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[float, str], None] | None = None,
) -> tuple[Classifier, list[dict[str, float]]]:
    """A new model trained on images, frozen, and its history (see :func:`fit`).

    settings: what :meth:`modelkin.config.Study.training` returns. seed: of torch's global
    generator, for weights, shuffling and noise. objective: replaces that of the recipe.
    """
    torch.manual_seed(seed)
    channels, size, _ = images.shape
    shape = {"channels": channels, "size": size, "classes": len(images.classes)}
    model = models.new(**shape, **{key: settings[key] for key in ("architecture", "width", "representation")})
    models.normalise_like(model, images)
    against, schedule = (_from(settings, kind) for kind in (Robustness, Schedule))
    history = []
    for report in fit(model, images, objective or against.objective, schedule, test=test, device=device):
        history.append(report)
        LOG.info("%s", report)
        if progress is not None:
            progress(
                report["epoch"], f"loss {report['loss']:.3f}, test accuracy {report['test_accuracy']:.3f}"
            )
    return model, history


def evaluate(
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

    samples: so many images are attacked by PGD, at equal distances in their order (None: all); autoattack: so
    many by AutoAttack (Croce and Hein 2020) at the same radius; None is its accuracy without any.
    at_chance: clean accuracy is not significantly (one-sided 1 %) above that of always naming the
    commonest class.
    """
    from scipy.stats import binomtest  # slow to import, and seldom needed

    pgd = attacks.pgd(norm, radius, steps, step_size)
    found = {
        "clean_accuracy": accuracy(model, images, device),
        "adversarial_accuracy": accuracy(
            model,
            images.spread(samples),
            device,
            attack=lambda x, y: attacks.untargeted(model, x, y, pgd),
        ),
        "autoattack_accuracy": None,
    }
    if autoattack:
        found["autoattack_accuracy"] = accuracy(
            model,
            images.spread(autoattack),
            device,
            attack=lambda x, y: attacks.autoattack(model, x, y, norm=norm, radius=radius, seed=seed),
        )
    commonest = np.bincount(images.labels).max() / len(images)
    right = round(found["clean_accuracy"] * len(images))
    chance = binomtest(right, len(images), commonest, alternative="greater").pvalue > 0.01
    return found | {"at_chance": bool(chance), "evaluated": len(images)}


def accuracy(
    model: Classifier,
    images: Images,
    device: torch.device | str = "cpu",
    attack: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> float:
    """Share of images whose top-1 class is their label, after an attack (x, y) -> x if one is given."""
    right = 0
    for x, y in models.batches(model, images, device):
        right += int(attacks.right(model, x if attack is None else attack(x, y), y).sum())
    return right / len(images)


@torch.no_grad()
def agreement(a: Classifier, b: Classifier, images: Images, device: torch.device | str = "cpu") -> float:
    """Share of images to which two models give the same top-1 class."""
    same = sum(int(attacks.right(a, x, b(x).argmax(1)).sum()) for x, _ in models.batches(a, images, device))
    return same / len(images)


def _unit(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def _from(settings: Mapping[str, Any], kind):
    return kind(**{field.name: settings[field.name] for field in fields(kind) if field.name in settings})
