"""Distillation: the loss by hand, and a student that comes to resemble its teacher."""

import pytest
import torch
from conftest import TRAINING

from modelkin.training import evaluation, fit
from modelkin.training.distillation import Distillation


def test_distillation_weighs_the_two_labels(trained, digits):
    (teacher, _), (student, _) = trained["adversarial"], trained["standard"]
    x = torch.from_numpy(digits["test"].pixels[:50])
    y = torch.from_numpy((digits["test"].labels[:50] + 1) % 10)
    both = [torch.nn.functional.cross_entropy(student(x), label) for label in (y, teacher(x).argmax(1))]
    loss, logits = Distillation(weight=0.3, shift=0, noise=0.0).objective(teacher)(student, x, y, 0.0)
    assert loss.item() == pytest.approx(0.7 * both[0].item() + 0.3 * both[1].item(), rel=1e-5)
    assert torch.allclose(logits, student(x), atol=1e-5)


def test_augmentation_shifts_and_stays_an_image(digits):
    torch.manual_seed(0)
    x = torch.from_numpy(digits["test"].pixels[:50])
    moved = Distillation(weight=0.5, shift=2, noise=0.0).augment(x)
    assert moved.shape == x.shape
    centre = [torch.equal(a[:, 3:5, 3:5], b[:, 3:5, 3:5]) for a, b in zip(x, moved, strict=True)]
    assert not all(centre)
    noisy = Distillation(weight=0.5, shift=0, noise=0.2).augment(x)
    assert 0 <= noisy.min() < noisy.max() <= 1
    assert not torch.equal(noisy, x)


def test_distillation_moves_the_student_towards_the_teacher(digits, trained):
    teacher, _ = trained["adversarial"]
    alone, taught = (
        fit.train(
            digits["train"],
            digits["test"],
            TRAINING | {"architecture": "mlp", "epochs": 8},
            seed=3,
            objective=Distillation(weight=weight, shift=1, noise=0.1).objective(teacher),
        )[0]
        for weight in (0.0, 1.0)
    )
    agreement = [evaluation.model_agreement(model, teacher, digits["test"]) for model in (alone, taught)]
    assert agreement[1] > agreement[0]
    assert evaluation.model_accuracy(taught, digits["test"]) > 0.7
