"""Attacks against their definitions written out, and what each must never do."""

import functools
import json
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from modelkin.data import datasets
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks import building, classifier
from modelkin.optimise import adversarial_probe, attacks, threats
from modelkin.optimise.adversarial_probe import attack_parts, probe_facts, rounded_pixels
from modelkin.optimise.attacks import from_settings
from modelkin.optimise.attacks.base import targeted, untargeted
from modelkin.optimise.attacks.mi_fgsm import mi_fgsm_descent
from modelkin.optimise.attacks.pgd import pgd_descent
from modelkin.optimise.attacks.vmi_fgsm import run_vmi_fgsm
from modelkin.optimise.descent import Ball, Descent, around
from modelkin.optimise.steps import Momentum
from modelkin.study import schema

RADIUS, STEP = {"linf": 0.1, "l2": 0.8}, {"linf": 0.03, "l2": 0.3}


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 30), nn.Tanh(), nn.Linear(30, 6)).double()
    return classifier.frozen(classifier.Classifier(network, "3", [0.5] * 3, [0.5] * 3, 4)).double()


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
    found = untargeted(model, x, y, mi_fgsm_descent(0.1, 7, 0.02, decay=decay))
    near, m = x, torch.zeros_like(x)
    for _ in range(7):
        near = near.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss_of(model, near, y).sum(), near)
        m = decay * m + gradient / gradient.abs().sum((1, 2, 3), keepdim=True)
        near = x + (near.detach() + 0.02 * m.sign() - x).clamp(-0.1, 0.1)
        near = near.clamp(0, 1)
    assert torch.allclose(found, near, atol=1e-12)
    plain = untargeted(model, x, y, pgd_descent("linf", 0.1, 7, 0.02))
    assert not torch.allclose(found, plain), "momentum changed nothing, so this tests nothing"


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("starts", [0, 1, 3])
def test_attacks_stay_in_their_ball_and_in_the_image(model, images, norm, starts):
    x, y = images
    pgd = pgd_descent(norm, RADIUS[norm], 6, STEP[norm])
    for attack, labels in ((untargeted, y), (targeted, (y + 1) % 6)):
        found = attack(model, x, labels, pgd, starts=starts, generator=torch.manual_seed(2))
        assert (distance(found, x, norm) <= RADIUS[norm] + 1e-9).all()
        assert found.min() >= 0
        assert found.max() <= 1
    assert (classifier.is_right(model, found, (y + 1) % 6)).double().mean() > 0.2, "targets are reached"


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_of_several_starts_each_image_keeps_the_best(model, images, norm):
    x, y = images
    pgd = pgd_descent(norm, RADIUS[norm], 3, STEP[norm])
    one, many = (
        loss_of(model, untargeted(model, x, y, pgd, starts=n, generator=torch.manual_seed(3)), y)
        for n in (1, 5)
    )
    assert (many >= one - 1e-12).all()
    assert (many > one + 1e-9).any(), "no other start was better, so this tests nothing"
    again = untargeted(model, x, y, pgd, starts=5, generator=torch.manual_seed(3))
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


def test_a_part_does_not_depend_on_the_others(monkeypatch):
    monkeypatch.setattr(adversarial_probe, "batch_rows", lambda size, device="cpu": 7)
    model = classifier.frozen(
        building.new_model("mlp", channels=1, size=8, classes=10, width=4, representation=8)
    )
    probe = datasets.load("digits", size=8, test=100)["test"].pick(slice(0, 30))
    settings = {**attacks.defaults()["pgd"], "steps": 3, "starts": 2}

    def attack(part, seed=0):
        return from_settings("pgd", "linf", 0.1, **settings, seed=seed + part)

    whole = [attacked() for attacked in attack_parts(model, probe, attack, threat="linf")]
    rest = list(attack_parts(model, probe, attack, threat="linf"))
    assert len(rest) == len(whole) == 5
    assert rest[2]().identical(whole[2])
    assert rest[4]().identical(whole[4])
    other = next(attack_parts(model, probe, functools.partial(attack, seed=9), threat="linf"))
    assert not other().identical(whole[0]), "nothing is drawn, so this tests nothing"


def test_vmi_fgsm_is_its_algorithm(model, images):
    """Wang and He (2021), algorithm 1, with the draws that the library makes."""
    x, y = images
    found = run_vmi_fgsm(
        model, x, y, radius=0.1, steps=4, step_size=0.03, neighbours=3, generator=torch.manual_seed(7)
    )

    def gradient_at(point):
        point = point.detach().requires_grad_(True)
        return torch.autograd.grad(loss_of(model, point, y).sum(), point)[0]

    torch.manual_seed(int(torch.randint(2**62, (), generator=torch.manual_seed(7))))
    near, m, v = x, torch.zeros_like(x), torch.zeros_like(x)
    for _ in range(4):
        gradient = gradient_at(near)
        tuned = gradient + v
        m = m + tuned / tuned.abs().sum((1, 2, 3), keepdim=True)
        around_it = [near + torch.randn_like(x).uniform_(-0.15, 0.15) for _ in range(3)]
        v = torch.stack([gradient_at(point) for point in around_it]).mean(0) - gradient
        near = (x + (near + 0.03 * m.sign() - x).clamp(-0.1, 0.1)).clamp(0, 1)
    assert torch.allclose(found, near, atol=1e-12)
    plain = untargeted(model, x, y, mi_fgsm_descent(0.1, 4, 0.03))
    assert not torch.allclose(found, plain), "the variance changed nothing, so this tests nothing"


def test_vmi_fgsm_leaves_what_has_no_gradient_and_torchs_generator_alone(images):
    flat = classifier.frozen(nn.Sequential(nn.Flatten(), nn.Linear(48, 6)).double())
    nn.init.zeros_(flat[1].weight)
    x, y = images
    before, own = torch.random.get_rng_state(), torch.Generator().manual_seed(0)
    assert torch.equal(run_vmi_fgsm(flat, x, y, radius=0.1, steps=3, step_size=0.03, generator=own), x)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_autoattack_fools_wherever_pgd_does_and_moves_nothing_else(norm):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(108, 30), nn.Tanh(), nn.Linear(30, 6))
    model = classifier.frozen(classifier.Classifier(network, "3", [0.5] * 3, [0.5] * 3, 6))
    x = torch.rand(20, 3, 6, 6, generator=torch.manual_seed(1))
    y, radius = model(x).argmax(1), RADIUS[norm] / 4
    found = from_settings("autoattack", norm, radius)(model, x, y)
    fooled = ~classifier.is_right(model, found, y)
    pgd = untargeted(model, x, y, pgd_descent(norm, radius, 20, radius / 8))
    by_pgd = ~classifier.is_right(model, pgd, y)
    assert 0 < int(fooled.sum()) < len(x), "all or none is fooled, so this tests nothing"
    assert bool((fooled | ~by_pgd).all())
    assert (distance(found, x, norm) <= radius + 1e-5).all()
    assert torch.equal(found[~fooled], x[~fooled])


def probe_of(x, y):
    x, y = (value.float().numpy() if value.is_floating_point() else value.numpy() for value in (x, y))
    return Images(x, y, np.array([f"{i}" for i in range(len(x))]), list("abcdef"))


def made(model, probe, stored="uint16", norm="linf", radius=0.1, **settings):
    settings = {**attacks.defaults()["pgd"], **settings}
    attack = from_settings("pgd", norm, radius, **settings)
    parts = attack_parts(model, probe, lambda part: attack, threat=norm, stored=stored)
    return [attacked() for attacked in parts]


@pytest.mark.parametrize("stored", ["uint16", "uint8"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_said_of_an_attack_is_true_of_the_stored_pixels(model, images, stored, norm):
    """Also where rounding takes the attack back: a radius of two 255ths."""
    model, radius = model.float(), {"linf": 2 / 255, "l2": 0.08}[norm]
    x = (images[0] * 255).round() / 255
    y = model(x.float()).argmax(1)
    y[:3] = (y[:3] + 1) % 6
    probe = probe_of(x, y)
    whole = xr.concat(made(model, probe, stored, norm, radius), "sample")
    assert whole["image"].dtype == stored
    pixels = whole["image"].to_numpy()
    pixels = torch.from_numpy(pixels.astype(np.float32) / (255 if stored == "uint8" else 65535))
    fooled = model(pixels).argmax(1) != y
    assert whole["fooled"].to_numpy().tolist() == fooled.tolist()
    assert whole["right"].to_numpy().tolist() == [False] * 3 + [True] * 17
    moved = distance(pixels, torch.from_numpy(probe.pixels), norm)
    np.testing.assert_allclose(whole["distance"].to_numpy(), moved, atol=1e-6)
    assert (moved <= radius + 2e-6).all(), "images of 8 bits can be held exactly, so none leaves the ball"
    found = probe_facts([whole])
    assert found["success"] == pytest.approx(float(fooled[3:].double().mean()))
    near = from_settings("pgd", norm, radius, **attacks.defaults()["pgd"])(
        model, torch.from_numpy(probe.pixels), y
    )
    lost = (model(near).argmax(1) != y) & ~fooled
    assert found["lost"] == int(lost[3:].sum())
    assert 0 < found["success"] < 1, "all or none is fooled, so this tests nothing"


def test_what_8_bits_lose_is_counted_as_lost(model):
    """A change of less than a 255th is gone, and with it the success; 16 bits keep both."""
    x = (torch.rand(400, 3, 4, 4, generator=torch.manual_seed(2)) * 255).round() / 255
    model = model.float()
    probe = probe_of(x, model(x).argmax(1))
    (coarse,), (fine,) = (made(model, probe, stored, radius=0.8 / 255) for stored in ("uint8", "uint16"))
    np.testing.assert_array_equal(coarse["image"], np.rint(x.numpy() * 255))
    assert not coarse["fooled"].any()
    lost = int(coarse["lost"].sum())
    assert lost > 3, "hardly an attack succeeds, so this tests nothing"
    assert fine["fooled"].to_numpy().tolist() == coarse["lost"].to_numpy().tolist()
    assert probe_facts([coarse])["lost"] == lost
    assert probe_facts([fine])["lost"] == 0


def test_pixels_are_rounded_towards_the_image():
    rng = np.random.default_rng(0)
    x = (rng.integers(0, 256, (50, 1, 8, 8)) / 255).astype(np.float32)
    near = np.clip(x + rng.uniform(-8 / 255, 8 / 255, x.shape), 0, 1).astype(np.float32)
    near[:25] = np.clip(x[:25] + rng.choice([-8, 8], x[:25].shape) / 255, 0, 1).astype(np.float32)
    for stored, top in (("uint8", 255), ("uint16", 65535)):
        values = rounded_pixels(near, x, stored) / np.float64(top)
        assert np.abs(values - near).max() <= 1 / top + 1e-6
        assert (np.abs(values - x) <= np.abs(near - x) + 1e-6).all()
    # Changes of whole 255ths survive either as they are.
    np.testing.assert_array_equal(rounded_pixels(near[:25], x[:25], "uint16"), np.rint(near[:25] * 255) * 257)
    exact = rounded_pixels(near[:25], x[:25], "uint8")
    np.testing.assert_array_equal(exact, np.rint(near[:25] * 255))


def test_a_model_right_on_nothing_has_no_success(model, images):
    x, y = images
    found = probe_facts(made(model.float(), probe_of(x, (y + 1) % 6)))
    assert found["success"] is None
    assert found["right"] == 0


@pytest.mark.parametrize("attack", attacks.names())
def test_a_model_that_returns_nan_is_named_before_any_attack(images, attack):
    broken = classifier.frozen(nn.Sequential(nn.Flatten(), nn.Linear(48, 6)))
    broken.size, broken.resize = 4, "bilinear"
    broken[1].bias[0] = float("nan")
    perturb = from_settings(attack, "linf", 0.1, **attacks.defaults()[attack])
    with pytest.raises(ModelkinError, match="returns NaN or infinite values for images of the natural probe"):
        next(attack_parts(broken, probe_of(*images), lambda part: perturb, threat="linf"))()


# threats


def test_distances_of_threats(images):
    x, _ = images
    changed = x + torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
    for norm in ("l2", "linf"):
        assert torch.allclose(threats.get(norm).distance(x, changed), distance(changed, x, norm))
    with pytest.raises(ModelkinError, match="unknown threat 'l_inf'; did you mean 'linf'"):
        threats.get("l_inf")


def test_attacks_and_the_config_know_the_same_threats():
    for name in attacks.names():
        assert attacks.get(name).THREATS
        assert set(attacks.get(name).THREATS) <= set(threats.names())
    keys = json.loads(schema.SCHEMA.read_text())["$defs"]["attack"]["properties"]
    assert set(keys["attack"]["enum"]) == set(attacks.names())
    assert set(keys["threat"]["enum"]) == set(threats.names())
    assert set(keys["norm"]["enum"]) == {"l2", "linf"}
    assert {key for each in attacks.defaults().values() for key in each} <= set(keys)


FOG = """
from modelkin.optimise.threats.base import Threat

DEFAULTS = {"steps": 2}
THREATS = ("fog",)


THREAT = Threat(lambda x, changed: ((changed - x) / (1 - x)).flatten(1).mean(1), units="share of the view")


def attack(threat, radius, *, seed, device, steps):
    def thicken(model, images, labels):
        for _ in range(steps):
            images = images + radius / steps * (1 - images)
        return images

    return thicken
"""


def test_a_threat_need_be_no_ball_of_pixels(model, images, tmp_path, monkeypatch):
    """Fog hides a share of an image, and its size is that share: two modules are all it takes."""
    (tmp_path / "fog.py").write_text(FOG)
    for package in (attacks, threats):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    try:
        fog = from_settings("fog", "fog", 0.4, **attacks.defaults()["fog"])
        with pytest.raises(ModelkinError, match="fog is an attack under fog; use norm: fog or attack: auto"):
            from_settings("fog", "linf", 0.4, steps=2)
        with pytest.raises(ModelkinError, match="pgd is an attack under l2 or linf or .*attack: fog"):
            from_settings("pgd", "fog", 0.4, **attacks.defaults()["pgd"])
        found = next(attack_parts(model.float(), probe_of(*images), lambda part: fog, threat="fog"))()
    finally:
        for package in ("attacks", "threats"):
            sys.modules.pop(f"modelkin.optimise.{package}.fog", None)
    assert found["distance"].to_numpy() == pytest.approx([1 - 0.8**2] * 20, abs=1e-3)
    assert probe_facts([found])["median_distance"] == pytest.approx(0.36, abs=1e-3)
