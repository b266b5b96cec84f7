"""What all attacks have in common; a new one is checked as soon as its module is there."""

import types

import contracts
import pytest
import torch

from modelkin.errors import ModelkinError
from modelkin.optimise import attacks

NORMS = ("l2", "linf")


def test_a_module_is_an_attack():
    contracts.check_registered(attacks, attacks.names())
    assert attacks.defaults() == {name: dict(attacks.get(name).DEFAULTS) for name in attacks.names()}


@pytest.mark.parametrize("check", contracts.ATTACK_CHECKS)
@pytest.mark.parametrize("name", attacks.names())
def test_every_attack(name, check):
    check(attacks.get(name))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", attacks.names())
def test_only_declared_norms_are_taken(name, norm):
    if norm in attacks.get(name).THREATS:
        assert callable(attacks.from_settings(name, norm, 0.1, **attacks.defaults()[name]))
    else:
        with pytest.raises(ModelkinError, match=f"{name} is an attack under"):
            attacks.from_settings(name, norm, 0.1, **attacks.defaults()[name])


# the checks themselves


def noise(threat, radius, *, seed, device, share):
    """Noise, a share of what Linf allows, that needs no gradient."""

    def attacked(model, images, labels):
        drawn = torch.rand(images.shape, generator=torch.Generator(device).manual_seed(seed)) * 2 - 1
        return (images + share * radius * drawn).clamp(0, 1)

    return attacked


def module(attack=noise, norms=("linf",), **defaults):
    """A module that is like an attack's."""
    found = types.ModuleType("noise", "Noise within the ball, which is an attack only by name.")
    found.attack, found.THREATS, found.DEFAULTS = attack, norms, defaults
    return found


def unseeded(threat, radius, *, seed, device):
    """A step along the gradient's sign, with noise that no seed decides."""

    def attacked(model, images, labels):
        x = images.clone().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(model(x), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        return (images + radius * gradient.sign() * torch.rand(images.shape)).clamp(0, 1)

    return attacked


def dividing(threat, radius, *, seed, device):
    """A step along the gradient, divided by its length without a look whether there is any."""

    def attacked(model, images, labels):
        x = images.clone().requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(model(x), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        return (images + radius * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1)

    return attacked


WRONG = {
    "raises no loss": (contracts.check_attack_effect, module(share=0.0)),
    "leaves the ball": (contracts.check_attack_effect, module(share=2.0)),
    "is drawn without a seed": (contracts.check_attack_effect, module(unseeded)),
    "divides by nothing": (contracts.check_attack_without_gradient, module(dividing)),
    "declares no setting": (contracts.check_attack_described, module()),
    "declares no norm": (contracts.check_attack_described, module(norms=(), share=1.0)),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_attack_is_found(what):
    check, attack = WRONG[what]
    with pytest.raises(AssertionError):
        check(attack)
