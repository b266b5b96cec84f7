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

from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks import building
from modelkin.networks.classifier import Classifier, frozen
from modelkin.training.evaluation import model_accuracy
from modelkin.training.objectives import Robustness

LOG = logging.getLogger("modelkin")


@dataclass(frozen=True)
class Schedule:
    """Optimiser settings: AdamW with a one-cycle learning rate that peaks at ``learning_rate``."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


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
        loss_sum, right, seen = 0.0, 0, 0
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
            "test_accuracy": model_accuracy(model, test, device),
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

    settings: what :meth:`modelkin.study.config.Study.training` returns. seed: of torch's global
    generator, for weights, shuffling and noise. objective: replaces that of the recipe.
    """
    torch.manual_seed(seed)
    channels, size, _ = images.shape
    shape: dict[str, Any] = {"channels": channels, "size": size, "classes": len(images.classes)}
    model = building.new_model(
        **shape, **{key: settings[key] for key in ("architecture", "width", "representation")}
    )
    building.normalise_like(model, images)
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


def _unit(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def _from(settings: Mapping[str, Any], kind):
    return kind(**{field.name: settings[field.name] for field in fields(kind) if field.name in settings})
