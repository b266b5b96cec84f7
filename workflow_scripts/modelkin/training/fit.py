"""Training classifiers: plain, adversarial (Madry et al. 2018) or TRADES (Zhang et al. 2019).

It knows nothing of files or of the config.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import lr_scheduler

from modelkin.data.images import Images
from modelkin.errors import ModelkinError, NotFinite
from modelkin.networks import building
from modelkin.networks.classifier import Classifier, frozen
from modelkin.training.augmentation import CropAndFlip
from modelkin.training.evaluation import model_accuracy
from modelkin.training.freezing import Freezer, Freezing
from modelkin.training.objectives import Robustness
from modelkin.training.resuming import Keeper, restore, training_state
from modelkin.training.schedule import Schedule

LOG = logging.getLogger("modelkin")


def fit(
    model: Classifier,
    images: Images,
    objective: Callable,
    schedule: Schedule,
    *,
    test: Images | None,
    parameters: Iterable[nn.Parameter] | None = None,
    eval_modules: Iterable[nn.Module] = (),
    freeze: Sequence[Freezing] = (),
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
    keeper: Keeper | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[dict[str, float]]:
    """Train in place; yield after each epoch its loss and its accuracies on train and test images.

    Parameters
    ----------
    model : Classifier
        When the last epoch is done, it is frozen and in eval mode.
    images, test : Images
        Those that it is trained on, shuffled by torch's global generator, and those that it is judged on;
        with None it is not, and there is no test_accuracy.
    objective : callable
        (model, x, y, share) -> (loss, logits), share in [0, 1) being how much is done; train accuracy is
        that of these logits.
    schedule : Schedule
    parameters : iterable of Parameter, optional
        Those of the model that are trained, all by default; others keep every bit.
    eval_modules : iterable of Module
        Parts of the model that stay in eval mode, so that their batch norms keep their statistics too.
    freeze : sequence of Freezing
        First blocks that are trained no further from an epoch on.
    augment : callable, optional
        What is done to each batch of images (n, c, h, w) first.
    keeper : Keeper, optional
        Is given the state after each epoch. If it has one, training goes on from there, by the numbers of a
        training that was never interrupted; the finished epochs are told again.
    device : torch.device or str

    Yields
    ------
    dict
        epoch, loss, train_accuracy and test_accuracy.

    Raises
    ------
    ModelkinError
        If the loss is no longer finite, or there is nothing to train or to train on.
    """
    model.to(device).requires_grad_(False)
    trained = list(model.parameters() if parameters is None else parameters)
    if not trained:
        raise ModelkinError("there are no parameters to train; name some of the model's.")
    for parameter in trained:
        parameter.requires_grad_(True)
    fixed, freezer = list(eval_modules), Freezer(model, freeze)
    x, y = (torch.from_numpy(np.asarray(values)).to(device) for values in (images.pixels, images.labels))
    batches = schedule.batches(len(x))
    optimiser = make_optimiser(trained, schedule)
    rate = make_learning_rate(optimiser, schedule, batches)
    reports: list[dict[str, float]] = []
    if keeper is not None and (kept := keeper.saved()) is not None:
        restore(kept, model, trained, optimiser, rate)
        reports = kept["reports"]
        yield from tuple(reports)
    for epoch in range(schedule.epochs):
        fixed += freezer.freeze(epoch)
        if epoch < len(reports):
            continue
        model.train()
        for module in fixed:
            module.eval()
        loss_sum, right, seen = 0.0, 0, 0
        order = torch.randperm(len(x)).to(device).split(schedule.batch_size)
        for number, rows in enumerate(order[:batches]):
            share = (epoch + number / batches) / schedule.epochs
            batch = _unit(x[rows])
            loss, logits = objective(model, batch if augment is None else augment(batch), y[rows], share)
            if not torch.isfinite(loss):
                raise NotFinite(
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
        report = {"epoch": epoch + 1, "loss": loss_sum / seen, "train_accuracy": right / seen}
        reports.append(
            report if test is None else report | {"test_accuracy": model_accuracy(model, test, device)}
        )
        if keeper is not None:
            keeper.save(training_state(model, trained, optimiser, rate, reports))
        yield reports[-1]
    frozen(model)


def make_optimiser(parameters: Iterable[nn.Parameter], schedule: Schedule) -> torch.optim.Optimizer:
    """The optimiser of a schedule, for these parameters."""
    about: dict[str, Any] = {"lr": schedule.learning_rate, "weight_decay": schedule.weight_decay}
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(parameters, **about, momentum=schedule.momentum, nesterov=schedule.nesterov)
    return {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[schedule.optimiser](parameters, **about)


def make_learning_rate(
    optimiser: torch.optim.Optimizer, schedule: Schedule, batches: int
) -> lr_scheduler.LRScheduler:
    """The learning rate of a schedule, to be moved on after each of so many batches of an epoch."""
    if schedule.schedule == "step":
        steps = [batches * epoch for epoch in schedule.decay_epochs()]
        return lr_scheduler.MultiStepLR(optimiser, steps, schedule.decay)
    if schedule.schedule == "constant":
        return lr_scheduler.ConstantLR(optimiser, factor=1.0)
    return lr_scheduler.OneCycleLR(
        optimiser,
        schedule.learning_rate,
        total_steps=schedule.epochs * batches,
        # Adam's first moment goes down while the rate goes up; a momentum that was asked for stays.
        cycle_momentum=schedule.optimiser != "sgd",
    )


def train(
    images: Images,
    test: Images,
    settings: Mapping[str, Any],
    *,
    seed: int,
    objective: Callable | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[float, str], None] | None = None,
    after_epoch: Callable[[Classifier, int], None] | None = None,
) -> tuple[Classifier, list[dict[str, float]]]:
    """A new model trained on images, frozen, and its history (see :func:`fit`).

    Parameters
    ----------
    images, test : Images
    settings : mapping
        What :meth:`modelkin.study.config.Study.training` returns.
    seed : int
        Of torch's global generator, for weights, shuffling, augmentation and noise.
    objective : callable, optional
        Replaces that of the recipe.
    device : torch.device or str
    progress : callable, optional
        Told the number of epochs that are done, and how good the model is.
    after_epoch : callable, optional
        Given the model and the number of epochs that it was trained: 0 for the untrained one, then after
        each epoch. It must leave torch's global generator alone.
    """
    torch.manual_seed(seed)
    channels, size, _ = images.shape
    shape: dict[str, Any] = {"channels": channels, "size": size, "classes": len(images.classes)}
    model = building.new_model(
        **shape, **{key: settings[key] for key in ("architecture", "width", "representation")}
    )
    building.normalise_like(model, images)
    against, schedule = (_from(settings, kind) for kind in (Robustness, Schedule))
    augment = CropAndFlip(**settings["augment"]) if "augment" in settings else None
    history = []
    if after_epoch is not None:
        after_epoch(model, 0)
    for report in fit(
        model,
        images,
        objective or against.objective,
        schedule,
        test=test,
        freeze=[Freezing(**each) for each in settings.get("freeze", ())],
        augment=augment,
        device=device,
    ):
        history.append(report)
        LOG.info("%s", report)
        if after_epoch is not None:
            after_epoch(model, int(report["epoch"]))
        if progress is not None:
            progress(
                report["epoch"], f"loss {report['loss']:.3f}, test accuracy {report['test_accuracy']:.3f}"
            )
    return model, history


def _unit(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def _from(settings: Mapping[str, Any], kind):
    return kind(**{field.name: settings[field.name] for field in fields(kind) if field.name in settings})
