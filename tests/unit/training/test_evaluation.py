"""Accuracies, clean and under attack, and models that know nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from modelkin.data.images import Images
from modelkin.networks import classifier
from modelkin.training import evaluation


class Fixed(nn.Module):
    """Names the label that stands in the first pixel, or always class 0."""

    def __init__(self, knows):
        super().__init__()
        self.knows, self.head = knows, nn.Linear(4, 4)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(4))
            self.head.bias.zero_()

    def forward(self, x):
        label = (x[:, 0, 0, 0] * 10).round().long()
        return self.head(nn.functional.one_hot(label if self.knows else label * 0, 4).float())


@pytest.mark.parametrize(("knows", "accuracy", "chance"), [(True, 1.0, False), (False, 0.25, True)])
def test_a_model_at_chance_is_told(knows, accuracy, chance):
    labels = np.arange(80) % 4
    pixels = np.zeros((80, 1, 4, 4), np.float32)
    pixels[:, 0, 0, 0] = labels / 10
    images = Images(pixels, labels, np.arange(80).astype(str), list("abcd"))
    model = classifier.frozen(classifier.Classifier(Fixed(knows), "head", [0.0], [1.0], 4))
    assert evaluation.model_accuracy(model, images) == accuracy
    model.forward = lambda x: Fixed.forward(model.network, x) + 0 * x.sum()
    found = evaluation.evaluate_model(
        model, images, norm="linf", radius=0.01, steps=1, step_size=0.01, samples=8
    )
    assert found["at_chance"] is chance
    assert found["clean_accuracy"] == accuracy
    assert found["autoattack_accuracy"] is None
    assert found["evaluated"] == 8


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "classes"), [("l2", 5), ("linf", 2)])
def test_autoattack_is_at_least_as_strong_as_pgd(norm, classes):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, classes))
    model = classifier.frozen(classifier.Classifier(network, "3", [0.5], [0.5], 8))
    rng = np.random.default_rng(0)
    pixels = rng.random((24, 1, 8, 8), np.float32)
    labels = model(torch.from_numpy(pixels)).argmax(1).numpy()
    images = Images(pixels, labels, np.arange(24).astype(str), list("abcde")[:classes])
    radius = {"l2": 0.2, "linf": 0.02}[norm]
    found = evaluation.evaluate_model(
        model, images, norm=norm, radius=radius, steps=10, step_size=radius / 4, autoattack=24
    )
    assert found["clean_accuracy"] == 1
    assert found["autoattack_accuracy"] <= found["adversarial_accuracy"] + 1e-9
    assert found["autoattack_accuracy"] < 1
