"""Images whose inversion failed are tried again with leaky gradients; all others stay as they are."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from modelkin import seeds
from modelkin.data.probes import seed_target_pairs
from modelkin.networks.classifier import Classifier, frozen
from modelkin.optimise import inversion
from modelkin.optimise.rescue import LeakyGradients

DARK = 0.4  # what is darker than this, the first layer does not see
PUBLISHED = inversion.published(60, 0.3, schedule="cosine")


class Thresholding:
    """A model whose representation is relu(x - 0.4), pixel by pixel: a black image has no gradient."""

    @staticmethod
    def representation(images: torch.Tensor) -> torch.Tensor:
        return torch.relu(images - DARK).flatten(1)


def pictures(n=6, side=3):
    """Targets of which half of the pixels are seen, and black seeds."""
    drawn = torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(0))
    return torch.zeros_like(drawn), torch.where(drawn > 0.5, drawn, 0)


def test_a_black_seed_has_no_gradient_and_is_rescued_to_the_only_preimage():
    """The representation of a target decides its seen pixels, so there is one right answer for them."""
    seed, target = pictures()
    x = seed.clone().requires_grad_(True)
    loss = (Thresholding.representation(x) - Thresholding.representation(target)).norm(dim=1).sum()
    (gradient,) = torch.autograd.grad(loss, x)
    assert (gradient == 0).all()
    plain = inversion.invert(Thresholding, seed, target, PUBLISHED)
    assert torch.equal(plain.images, seed)
    assert (plain.loss == 1).all()
    found = inversion.invert(Thresholding, seed, target, PUBLISHED, rescue_above=0.2)
    seen = target > DARK
    assert found.rescued.all()
    assert (found.images - target)[seen].abs().max() < 0.1
    assert (found.images[~seen] <= DARK + 0.1).all()
    assert torch.equal(found.first_loss, plain.loss)
    assert (found.loss < 0.05).all()
    by_hand = (Thresholding.representation(found.images) - Thresholding.representation(target)).norm(dim=1)
    assert torch.allclose(found.loss, by_hand / Thresholding.representation(target).norm(dim=1), atol=1e-6)
    assert torch.allclose(found.distance, found.images.flatten(1).norm(dim=1))
    assert (found.steps == 3 * 60).all()


def digits_pairs(digits, n=30):
    test = digits["test"]
    drawn = seed_target_pairs(test, n, seeds.generator(0, "pairs"))
    return drawn, *(torch.from_numpy(test.floats(test.rows(drawn[role]))) for role in ("seed", "target"))


def test_images_that_succeeded_are_untouched_bit_for_bit(digits, standard):
    """Also those that were tried again in vain."""
    model, (_, start, target) = standard[0], digits_pairs(digits)
    few = inversion.published(8, 0.4)
    plain = inversion.invert(model, start, target, few)
    above = float(plain.loss.median())
    found = inversion.invert(model, start, target, few, rescue_above=above)
    assert found.rescued.any()
    assert not found.rescued[plain.loss <= above].any()
    left = ~found.rescued
    for name in ("images", "loss", "distance"):
        assert torch.equal(getattr(found, name)[left], getattr(plain, name)[left]), name
    assert torch.equal(found.steps, torch.where(plain.loss > above, 24, 8))
    assert (found.loss[found.rescued] <= above).all()
    assert torch.equal(found.first_loss, plain.loss)
    facts = found.facts()
    assert facts["rescued"] == float(found.rescued.double().mean())
    assert facts["median_first_loss"] == pytest.approx(float(plain.loss.double().quantile(0.5)), rel=1e-6)
    assert "rescued" not in plain.facts()


def test_what_cannot_be_rescued_stays_the_first_image(digits):
    """A target that no image reaches: two features that are equal, and are to be opposite."""

    class Unreachable:
        calls = 0

        def representation(self, images):
            twice = images.flatten(1).mean(1, keepdim=True).expand(-1, 2)
            if torch.is_grad_enabled():
                return twice
            return twice * torch.tensor([1.0, -1.0])

    _, start, target = digits_pairs(digits, 4)
    plain, found = (
        inversion.invert(Unreachable(), start, target, PUBLISHED, rescue_above=above) for above in (None, 0.2)
    )
    assert (plain.loss > 0.2).all()
    assert not found.rescued.any()
    assert torch.equal(found.images, plain.images)
    assert torch.equal(found.loss, plain.loss)


def test_each_image_says_in_the_store_whether_it_was_rescued(digits, standard):
    model, (drawn, start, target) = standard[0], digits_pairs(digits, 12)
    few = inversion.published(8, 0.4)
    plain = inversion.invert(model, start, target, few)
    found = inversion.invert(model, start, target, few, rescue_above=float(plain.loss.median()))
    stored = found.to_dataset(drawn, digits["test"].classes)
    assert np.array_equal(stored["rescued"].values, found.rescued.numpy())
    assert np.array_equal(stored["first_loss"].values, plain.loss.numpy())
    assert not {"rescued", "first_loss"} & set(plain.to_dataset(drawn, digits["test"].classes))
    told = inversion.Inverted.told(stored)
    assert inversion.Inverted.joined([told, told]).facts()["rescued"] == found.facts()["rescued"] > 0


def test_parts_are_the_same_in_a_job_that_goes_on_after_a_kill(digits, standard, monkeypatch):
    """A part does not depend on those before it, on the device named or on being made a second time."""
    model, test = standard[0], digits["test"]
    drawn = seed_target_pairs(test, 10, np.random.default_rng(0))
    monkeypatch.setattr(inversion, "PART_BYTES", 4 * 64 * 4)
    told = []

    def parts(**settings):
        return inversion.inversion_parts(
            model, test, drawn, inversion.published(8, 0.4), rescue_above=0.3, **settings
        )

    said = [make() for make in parts(progress=lambda *said: told.append(said))]
    assert 0 < np.concatenate([part["rescued"] for part in said]).sum() < 10
    *_, last = parts(device=torch.device("cpu"))
    assert last().identical(said[-1])
    evaluations = [each for _, each, _ in told]
    assert evaluations == sorted(evaluations), "those of all tries and parts together"
    tried = sum(int((part["first_loss"] > 0.3).sum()) for part in said)
    assert evaluations[-1] == 9 * (10 + 2 * tried)


class Mixed(nn.Module):
    """Every way to write a unit that is off, in place and not."""

    def __init__(self):
        super().__init__()
        self.units = nn.ModuleList([nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.ReLU6(inplace=True)])

    def forward(self, x):
        for unit in self.units:
            x = unit(x - 0.1) + 0.05
        for unit in (torch.relu, torch.Tensor.relu, nn.functional.relu, nn.functional.relu6):
            x = unit(x - 0.01)
        for unit in (torch.relu_, torch.Tensor.relu_, nn.functional.hardtanh_, torch.ops.aten.relu.default):
            x = unit(x - 0.01)
        return nn.functional.hardtanh(x, -0.5, 0.5) + nn.functional.hardtanh(input=x, min_val=0)


@pytest.mark.parametrize("exported", [False, True], ids=["modules", "exported"])
def test_leaky_gradients_change_no_value_and_every_gradient_that_was_zero(exported):
    x = torch.linspace(-8, 8, 41)[:, None].repeat(1, 3)
    network = Mixed().eval()
    if exported:
        network = torch.export.export(network, (x,)).run_decompositions({}).module()
    plain, leaky = (x.clone().requires_grad_(True) for _ in range(2))
    wanted = network(plain)
    with LeakyGradients(0.1):
        found = network(leaky)
    assert torch.equal(found, wanted)
    (before,), (after,) = (
        torch.autograd.grad(values.sum(), given) for values, given in ((wanted, plain), (found, leaky))
    )
    assert (before == 0).any()
    assert (after > 0).all()
    assert torch.equal(after[before == 2], before[before == 2]), "where no unit is off nothing changes"
    with LeakyGradients(0.0):
        again = network(leaky)
    assert torch.equal(torch.autograd.grad(again.sum(), leaky)[0], before)


def test_a_gradient_passes_units_that_are_off_with_a_tenth_of_its_size():
    x = torch.tensor([-1.0, 2.0, 7.0], requires_grad=True)
    with LeakyGradients():
        values = nn.functional.relu6(x)
    assert values.tolist() == [0, 2, 6]
    assert torch.autograd.grad(values.sum(), x)[0].tolist() == pytest.approx([0.1, 1, 0.1])


def test_a_classifier_is_rescued_through_its_own_layers():
    """A network as users have them, folded, whose first convolution sees nothing of a dark image."""
    convolution = nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([1.0, 2.0]).view(2, 1, 1, 1))
        convolution.bias.copy_(torch.tensor([-DARK, -1.0]))
    network = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(18, 2))
    model = frozen(Classifier(network, "3", [0.0], [1.0], 3)).folded()
    seed, target = pictures()
    plain = inversion.invert(model, seed, target)
    found = inversion.invert(model, seed, target, rescue_above=0.2)
    assert (plain.loss == 1).all()
    assert found.facts()["rescued"] == 1
    assert dataclasses.replace(found).facts()["median_loss"] < 0.01
