"""The rescue of failed inversions: gradients through units that are off, attempts at failed images alone."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from modelkin.data.images import Images
from modelkin.networks.classifier import Classifier
from modelkin.optimise import inversion
from modelkin.optimise.leaky import LeakyGradients

X = torch.tensor([-2.0, -0.5, 0.5, 3.0, 7.0])


class InPlace(nn.Module):
    def forward(self, x):
        return nn.functional.relu(x.clone(), inplace=True)


def exported():
    return torch.export.export(nn.ReLU(), (X,)).run_decompositions({}).module()


@pytest.mark.parametrize(
    ("function", "inside"),
    [
        (torch.relu, [0, 0, 1, 1, 1]),
        (nn.ReLU(), [0, 0, 1, 1, 1]),
        (nn.ReLU(inplace=True), [0, 0, 1, 1, 1]),
        (InPlace(), [0, 0, 1, 1, 1]),
        (exported(), [0, 0, 1, 1, 1]),
        (nn.ReLU6(), [0, 0, 1, 1, 0]),
        (nn.functional.relu6, [0, 0, 1, 1, 0]),
        (nn.Hardtanh(-1.0, 4.0), [0, 1, 1, 1, 0]),
    ],
)
def test_only_gradients_leak(function, inside):
    plain = X.clone().requires_grad_()
    value = function(plain * 1)
    value.sum().backward()
    assert plain.grad.tolist() == inside
    leaky = X.clone().requires_grad_()
    with LeakyGradients(0.25):
        found = function(leaky * 1)
        found.sum().backward()
    assert torch.equal(found, value)
    assert leaky.grad.tolist() == [each or 0.25 for each in inside]
    assert torch.equal(function(X.clone()), value), "outside all is as it was"


def test_other_functions_are_left_alone():
    x = X.clone().requires_grad_()
    with LeakyGradients(0.5):
        (torch.tanh(x) + nn.functional.gelu(x)).sum().backward()
    y = X.clone().requires_grad_()
    (torch.tanh(y) + nn.functional.gelu(y)).sum().backward()
    assert torch.equal(x.grad, y.grad)


class Thresholds:
    """What robust models of MNIST do: nothing darker than 0.3 is seen, so that black has no gradient."""

    def __init__(self, seed=0):
        self.weight = torch.randn(12, 16, generator=torch.Generator().manual_seed(seed))

    def representation(self, x):
        return torch.relu(torch.relu(x.flatten(1) - 0.3) @ self.weight.T) + 1e-3


def images(seed, low, n=4):
    return low + (1 - low) * torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


DESCENT = inversion.published(steps=80, step_size=0.3, schedule="cosine", stop_below=0.02)


def test_a_black_seed_is_rescued_from_where_there_is_no_gradient():
    model, targets = Thresholds(), images(1, 0.4)
    black = torch.zeros_like(targets)
    stuck = inversion.invert(model, black, targets, DESCENT)
    assert (stuck.loss > 0.9).all()
    assert stuck.rescued is None
    found = inversion.invert(model, black, targets, DESCENT, rescue=inversion.Rescue())
    assert (found.loss < 0.2).all()
    assert (found.rescued > 0).all()
    assert torch.allclose(found.distance, found.images.flatten(1).norm(dim=1)), "measured from the seed"
    assert (found.steps > 80).all(), "of all attempts"
    assert found.facts()["rescued"] == {
        way: int((found.rescued == number).sum()) for way, number in inversion.WAYS.items()
    }
    assert sum(found.facts()["rescued"].values()) == 4
    # The loss is the true one, without leaks.
    offset = model.representation(found.images) - model.representation(targets)
    assert found.loss == pytest.approx(
        offset.norm(dim=1) / model.representation(targets).norm(dim=1), abs=1e-5
    )


def test_what_did_not_fail_is_left_to_the_last_bit():
    model, targets = Thresholds(), images(1, 0.4)
    seeds = images(2, 0.35)
    seeds[::2] = 0
    before = inversion.invert(model, seeds, targets, DESCENT)
    well = before.loss <= 0.2
    assert 0 < well.sum() < len(seeds)
    after = inversion.invert(model, seeds, targets, DESCENT, rescue=inversion.Rescue())
    assert torch.equal(after.rescued == 0, well)
    for name in ("images", "loss", "steps", "distance"):
        assert torch.equal(getattr(after, name)[well], getattr(before, name)[well]), name
    assert (after.loss[~well] < before.loss[~well]).all()


def test_an_attempt_that_comes_no_closer_is_not_kept():
    """Nothing reaches a target whose representation no image has; the way that came closest is told."""
    model = Thresholds()
    targets = images(1, 0.4)
    found = inversion.invert(model, targets.clone(), targets, DESCENT, rescue=inversion.Rescue(above=1e-9))
    assert (found.loss == 0).all()
    assert not found.rescued.any()
    first = inversion.invert(model, 0 * targets, targets, DESCENT, rescue=inversion.Rescue(ways=("grey",)))
    assert set(first.rescued.tolist()) == {inversion.WAYS["grey"]}


def test_how_each_image_was_found_is_stored():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3))
    with torch.no_grad():
        # Bright images turn units on, black ones none.
        network[1].weight.copy_(torch.rand(12, 16, generator=torch.Generator().manual_seed(0)))
        network[1].bias.fill_(-2.0)
    model = Classifier(network, "3", [0.0], [1.0], 4).eval()
    pixels = torch.cat([torch.zeros(3, 1, 4, 4), images(3, 0.5, n=3)]).numpy()
    probe = Images(pixels, np.arange(6) % 3, np.array([f"i{n}" for n in range(6)]), list("abc"))
    pairs = pd.DataFrame(
        {"seed": ["i0", "i1", "i2"], "target": ["i3", "i4", "i5"], "target_label": [0, 1, 2]}
    ).assign(sample=lambda rows: rows["seed"] + ">" + rows["target"])
    stored = {}
    for rescue in (None, inversion.Rescue()):
        (part,) = inversion.inversion_parts(model, probe, pairs, DESCENT, rescue=rescue)
        stored[rescue] = part()
    assert "rescued" not in stored[None]
    told = inversion.Inverted.joined([inversion.Inverted.told(stored[inversion.Rescue()])] * 2)
    assert told.rescued.tolist() == stored[inversion.Rescue()]["rescued"].to_numpy().tolist() * 2
    assert set(told.facts()) - set(inversion.Inverted.told(stored[None]).facts()) == {"rescued"}
