"""Attacks against their definitions written out, and what each must never do."""

import pytest
import torch
from torch import nn

from modelkin import attacks, datasets, models
from modelkin.optimise import Ball, Descent, Momentum, around

RADIUS, STEP = {"linf": 0.1, "l2": 0.8}, {"linf": 0.03, "l2": 0.3}


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 30), nn.Tanh(), nn.Linear(30, 6)).double()
    return models.frozen(models.Classifier(network, "3", [0.5], [0.5], 4)).double()


@pytest.fixture
def images(model):
    x = torch.rand(20, 3, 4, 4, dtype=torch.float64, generator=torch.manual_seed(1))
    return x, model(x).argmax(1)


def loss_of(model, x, y):
    return nn.functional.cross_entropy(model(x), y, reduction="none")


def distance(a, b, norm):
    offset = (a - b).flatten(1)
    return offset.abs().amax(1) if norm == "linf" else offset.norm(dim=1)


@pytest.mark.parametrize("decay", [0.8, 1.0])
def test_mi_fgsm_is_equation_6(model, images, decay):
    x, y = images
    found = attacks.untargeted(model, x, y, attacks.mi_fgsm(0.1, 7, 0.02, decay=decay))
    near, m = x, torch.zeros_like(x)
    for _ in range(7):
        near = near.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss_of(model, near, y).sum(), near)
        m = decay * m + gradient / gradient.abs().sum((1, 2, 3), keepdim=True)
        near = x + (near.detach() + 0.02 * m.sign() - x).clamp(-0.1, 0.1)
        near = near.clamp(0, 1)
    assert torch.allclose(found, near, atol=1e-12)
    plain = attacks.untargeted(model, x, y, attacks.pgd("linf", 0.1, 7, 0.02))
    assert not torch.allclose(found, plain), "momentum changed nothing, so this tests nothing"


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("starts", [0, 1, 3])
def test_attacks_stay_in_their_ball_and_in_the_image(model, images, norm, starts):
    x, y = images
    pgd = attacks.pgd(norm, RADIUS[norm], 6, STEP[norm])
    for attack, labels in ((attacks.untargeted, y), (attacks.targeted, (y + 1) % 6)):
        found = attack(model, x, labels, pgd, starts=starts, generator=torch.manual_seed(2))
        assert (distance(found, x, norm) <= RADIUS[norm] + 1e-9).all()
        assert found.min() >= 0
        assert found.max() <= 1
    assert (attacks.right(model, found, (y + 1) % 6)).double().mean() > 0.2, "targets are reached"


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_of_several_starts_each_image_keeps_the_best(model, images, norm):
    x, y = images
    pgd = attacks.pgd(norm, RADIUS[norm], 3, STEP[norm])
    one, many = (
        loss_of(model, attacks.untargeted(model, x, y, pgd, starts=n, generator=torch.manual_seed(3)), y)
        for n in (1, 5)
    )
    assert (many >= one - 1e-12).all()
    assert (many > one + 1e-9).any(), "no other start was better, so this tests nothing"
    again = attacks.untargeted(model, x, y, pgd, starts=5, generator=torch.manual_seed(3))
    assert torch.equal(loss_of(model, again, y), many)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_fill_the_ball(norm):
    centre = torch.full((4000, 1, 1, 2), 0.5, dtype=torch.float64)
    found = distance(around(centre, Ball(norm, 0.2), torch.manual_seed(0)), centre, norm)
    assert found.max() <= 0.2
    # In two dimensions a uniform point is within half the radius with probability 1/4, in either norm.
    assert (found < 0.1).double().mean() == pytest.approx(0.25, abs=0.03)


def test_momentum_of_gradients_under_l2_moves_by_the_step():
    target = torch.rand(5, 1, 3, 3, dtype=torch.float64)
    start = torch.full_like(target, 0.5)

    def losses(x, index):
        return ((x - target[index]) ** 2).flatten(1).sum(1)

    descent = Descent(1, Momentum(0.01, decay=0.5, of="gradient"), keep="last")
    moved = descent.run(losses, start).images - start
    assert moved.flatten(1).norm(dim=1).tolist() == pytest.approx([0.01] * 5)


def test_parts_that_are_finished_change_nothing_in_the_others(monkeypatch):
    monkeypatch.setattr(models, "batch_rows", lambda size, device="cpu": 7)
    model = models.frozen(models.new("mlp", channels=1, size=8, classes=10, width=4, representation=8))
    probe = datasets.load("digits", size=8, test=100)["test"].pick(slice(0, 30))
    attack = attacks.pgd("linf", 0.1, 3, 0.05)

    def made(finished):
        generator = torch.Generator().manual_seed(3)
        return list(attacks.parts(model, probe, attack, starts=2, generator=generator, finished=finished))

    whole, rest = made(()), made({0, 1, 3})
    assert [part is None for part in rest] == [True, True, False, True, False]
    assert rest[2].identical(whole[2])
    assert rest[4].identical(whole[4])
    assert not made({0, 1})[2].identical(whole[1])
