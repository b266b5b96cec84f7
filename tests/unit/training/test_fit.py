"""Training is what torch's own loop would do, and leaves alone what it was not given."""

import copy

import pytest
import torch
from torch import nn

from modelkin.data import datasets
from modelkin.errors import ModelkinError
from modelkin.networks import building
from modelkin.networks.classifier import Classifier
from modelkin.training import fit
from modelkin.training.augmentation import CropAndFlip
from modelkin.training.objectives import Robustness, in_eval_mode
from modelkin.training.schedule import DEFAULTS, Schedule, unused_settings

RATES = {"epochs": 3, "batch_size": 64, "learning_rate": 6e-3, "weight_decay": 1e-4}
NETWORK = {"architecture": "mlp", "width": 4, "representation": 16}
PLAIN = {**RATES, **NETWORK, "recipe": "standard", "eps": 0, "norm": "l2"}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=8, test=1500)


def same_weights(a, b) -> bool:
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


def written_out(digits, make_optimiser, rate_at, *, drop_last=False, seed=3):
    """A standard training, step by step: rate_at(epoch, step of all, steps of an epoch) is its rate."""
    train = digits["train"]
    torch.manual_seed(seed)
    model = building.new_model(**NETWORK, channels=1, size=8, classes=10)
    building.normalise_like(model, train)
    x, y = torch.from_numpy(train.floats()), torch.from_numpy(train.labels)
    optimiser, step = make_optimiser(model.parameters()), 0
    model.train()
    for epoch in range(RATES["epochs"]):
        batches = torch.randperm(len(x)).split(RATES["batch_size"])
        if drop_last:
            batches = [rows for rows in batches if len(rows) == RATES["batch_size"]]
        for rows in batches:
            optimiser.param_groups[0].update(rate_at(epoch, step, len(batches)))
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimiser.step()
            step += 1
    return model


def test_the_default_is_adamw_with_one_cycle(digits):
    def one_cycle(epoch, step, batches):
        reference = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=6e-3)
        rate = torch.optim.lr_scheduler.OneCycleLR(reference, 6e-3, total_steps=3 * batches)
        for _ in range(step):
            reference.step()
            rate.step()
        return {key: reference.param_groups[0][key] for key in ("lr", "betas")}

    expected = written_out(
        digits, lambda weights: torch.optim.AdamW(weights, lr=6e-3, weight_decay=1e-4), one_cycle
    )
    found, _ = fit.train(digits["train"], digits["test"], PLAIN, seed=3)
    assert same_weights(found, expected)


def test_sgd_with_nesterov_and_steps(digits):
    sgd = {"optimiser": "sgd", "nesterov": True, "schedule": "step", "learning_rate": 0.1, "drop_last": True}
    found, _ = fit.train(digits["train"], digits["test"], {**PLAIN, **sgd}, seed=3)
    expected = written_out(
        digits,
        lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
        # Divided by ten after a third and after two thirds of three epochs.
        lambda epoch, step, batches: {"lr": 0.1 * 0.1**epoch},
        drop_last=True,
    )
    assert len(digits["train"]) % 64
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)  # 0.1 * 0.1 is rounded once more or less


def test_adam_with_a_constant_rate(digits):
    found, _ = fit.train(
        digits["train"], digits["test"], {**PLAIN, "optimiser": "adam", "schedule": "constant"}, seed=3
    )
    expected = written_out(
        digits,
        lambda weights: torch.optim.Adam(weights, lr=6e-3, weight_decay=1e-4),
        lambda *_: {"lr": 6e-3},
    )
    assert same_weights(found, expected)


def test_one_cycle_leaves_the_momentum_that_was_asked_for():
    schedule = Schedule(**RATES, optimiser="sgd", momentum=0.7)
    optimiser = fit.make_optimiser([nn.Parameter(torch.zeros(1))], schedule)
    rate = fit.make_learning_rate(optimiser, schedule, batches=5)
    seen = []
    for _ in range(15):
        seen.append((optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["momentum"]))
        optimiser.step()
        rate.step()
    assert {momentum for _, momentum in seen} == {0.7}
    assert max(rate for rate, _ in seen) == pytest.approx(6e-3, rel=0.01)


def test_when_the_rate_decays():
    every = dict(RATES, schedule="step")
    assert Schedule(**every | {"epochs": 200}).decay_epochs() == [67, 133]
    assert Schedule(**every | {"epochs": 30}).decay_epochs() == [10, 20]
    assert Schedule(**every, decay_at=[0.1, 2]).decay_epochs() == [1, 2]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optimiser": "adm"}, "did you mean 'adam'"),
        ({"schedule": "steps"}, "did you mean 'step'"),
        ({"optimiser": "sgd", "momentum": 0.0, "nesterov": True}, "nesterov needs a momentum"),
        ({"schedule": "step", "decay_at": [2, 1]}, "must ascend"),
        ({"schedule": "step", "decay_at": [3]}, "before the end, which is after 3"),
        ({"schedule": "step", "decay_at": [1.5]}, "neither a share"),
    ],
)
def test_a_schedule_that_cannot_be(settings, said):
    with pytest.raises(ModelkinError, match=said):
        Schedule(**RATES, **settings)


def test_settings_that_go_with_another_choice_are_known():
    assert unused_settings({"momentum": 0.9, "decay": 0.1}) == {
        "momentum": "optimiser adamw",
        "decay": "schedule one_cycle",
    }
    assert not unused_settings({"optimiser": "sgd", "momentum": 0.9, "schedule": "step", "decay": 0.1})
    assert {"optimiser", "decay_at", "drop_last"} < DEFAULTS.keys()


def test_a_dropped_batch_must_not_be_the_only_one(digits):
    schedule = Schedule(**RATES | {"batch_size": 2000}, drop_last=True)
    with pytest.raises(ModelkinError, match="drop_last leaves nothing of 297"):
        schedule.batches(len(digits["train"]))
    assert [Schedule(**RATES, drop_last=last).batches(130) for last in (True, False)] == [2, 3]


def test_crops_are_parts_of_the_padded_image():
    torch.manual_seed(0)
    images = torch.rand(400, 3, 8, 6) + 0.1
    cropped = CropAndFlip(crop=2)(images)
    wide = nn.functional.pad(images, [2, 2, 2, 2])
    places = set()
    for image, whole in zip(cropped, wide, strict=True):
        found = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if torch.equal(image, whole[:, down : down + 8, right : right + 6])
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 25, "every place is taken by some of 400 images"


def test_half_of_the_images_are_mirrored():
    torch.manual_seed(0)
    images = torch.rand(400, 1, 5, 4)
    flipped = CropAndFlip(flip=True)(images)
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(flipped, images, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(flipped, images, strict=True)]
    assert all(one != other for one, other in zip(mirrored, same, strict=True))
    assert 150 < sum(mirrored) < 250


def test_augmentation_follows_the_seed_and_is_trained_on(digits):
    both = {**PLAIN, "epochs": 1, "augment": {"crop": 1, "flip": True}}
    one, two, plain = (
        fit.train(digits["train"], digits["test"], settings, seed=3)[0]
        for settings in (both, both, {**PLAIN, "epochs": 1})
    )
    assert same_weights(one, two)
    assert not same_weights(one, plain)


class Halves(nn.Module):
    """A front, a 1 x 1 convolution and an end, both with batch norm and one with dropout."""

    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.stitch = nn.Conv2d(4, 6, 1)
        self.end = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Dropout())
        self.head = nn.Linear(6 * 36, 10)

    def forward(self, x):
        return self.head(self.end(self.stitch(self.front(x))))


def stitched():
    torch.manual_seed(0)
    return Classifier(Halves(), "head", [0.3], [0.3], 8)


@pytest.mark.parametrize("recipe", ["standard", "adversarial", "trades"])
def test_only_the_given_parameters_are_trained(digits, recipe):
    model = stitched()
    before = copy.deepcopy(model.state_dict())
    halves = [model.network.front, model.network.end, model.network.head]
    modes = []

    def objective(*about):
        modes.append([module.training for half in halves for module in half.modules()])
        value = Robustness(recipe, 0.5 if recipe != "standard" else 0).objective(*about)
        modes.append([module.training for half in halves for module in half.modules()])
        return value

    schedule = Schedule(**RATES | {"epochs": 1}, optimiser="adam", schedule="constant")
    given = model.network.stitch.parameters()
    history = list(
        fit.fit(
            model,
            digits["train"],
            objective,
            schedule,
            test=digits["test"],
            parameters=given,
            eval_modules=halves,
        )
    )
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"network.stitch.weight", "network.stitch.bias"}
    assert not any(map(any, modes))
    assert history[0]["epoch"] == 1
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_batch_norms_that_are_not_in_eval_mode_follow_the_images(digits):
    """As published stitching does: weights are frozen and statistics drift."""
    model = stitched()
    before = copy.deepcopy(model.state_dict())
    given = model.network.stitch.parameters()
    schedule = Schedule(**RATES | {"epochs": 1})
    objective = Robustness("adversarial", 0.5).objective
    list(fit.fit(model, digits["train"], objective, schedule, test=digits["test"], parameters=given))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    drifted = {f"network.{half}.{name}" for half in ("front.1", "end.0") for name in statistics}
    assert changed == {"network.stitch.weight", "network.stitch.bias"} | drifted


def test_modes_come_back_also_when_an_attack_fails():
    model = stitched().train()
    model.network.front.eval()
    modes = [module.training for module in model.modules()]

    def fails():
        with in_eval_mode(model):
            assert not any(module.training for module in model.modules())
            raise ModelkinError("")

    with pytest.raises(ModelkinError):
        fails()
    assert [module.training for module in model.modules()] == modes


def test_nothing_to_train_is_an_error(digits):
    about = {"test": digits["test"], "parameters": []}
    with pytest.raises(ModelkinError, match="no parameters to train"):
        next(fit.fit(stitched(), digits["train"], None, Schedule(**RATES), **about))


def test_eps_grows_as_long_as_it_is_told():
    def radii(ramp):
        return [
            Robustness("adversarial", 0.5, eps_ramp=ramp).attack(share).ball.radius
            for share in (0.0, 0.25, 0.5, 1.0)
        ]

    assert radii(0.5) == [0.0, 0.25, 0.5, 0.5]
    assert radii(1.0) == [0.0, 0.125, 0.25, 0.5]
    assert radii(0.0) == [0.5] * 4


def test_who_looks_on_changes_nothing(digits):
    seen = []
    model, history = fit.train(
        digits["train"],
        digits["test"],
        PLAIN,
        seed=3,
        after_epoch=lambda model, epoch: seen.append((epoch, copy.deepcopy(model.state_dict()))),
    )
    unseen, again = fit.train(digits["train"], digits["test"], PLAIN, seed=3)
    assert same_weights(model, unseen)
    assert history == again
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3]
    assert all(map(torch.equal, seen[-1][1].values(), model.state_dict().values()))
    torch.manual_seed(3)
    untrained = building.new_model(**NETWORK, channels=1, size=8, classes=10)
    building.normalise_like(untrained, digits["train"])
    assert all(map(torch.equal, seen[0][1].values(), untrained.state_dict().values()))
