"""A training of stitches that is killed goes on by the same numbers; one that no longer learns stops."""

import pytest
import torch
from stitchable import blocks, floats, half, some_images

from modelkin.jobs.kept_state import KeptState
from modelkin.stitching import places, settings
from modelkin.stitching.course import Course
from modelkin.stitching.settings import Objective, Training
from modelkin.stitching.stitched import Stitch
from modelkin.stitching.training import train_stitches
from modelkin.training.augmentation import CropAndFlip
from modelkin.training.schedule import Schedule

ATTACK = {"recipe": "adversarial", "eps": 0.1, "norm": "linf", "attack_steps": 2}
SCHEDULES = [
    Schedule(epochs=3, batch_size=16, learning_rate=1e-2, weight_decay=1e-4, optimiser="adam", schedule=each)
    for each in ("one_cycle", "step")
]


class Killed(Exception):
    """As a job that is killed after an epoch."""


def trained(keepers=None, kill_at=None, schedule=SCHEDULES[0], **how):
    """Stitches at both blocks of one pair, from one start and one stream of random numbers."""
    front, end, images = half(4, 0), half(4, 1), some_images()
    at = places.places(blocks(front), blocks(end))
    torch.manual_seed(0)
    made = [Stitch(front.layout(place.front), end.layout(place.end)) for place in at]
    done = []

    def after_epoch(epoch):
        done.append(epoch)
        if len(done) == kill_at:
            raise Killed

    torch.manual_seed(1)
    augment = CropAndFlip(crop=1, flip=True)
    given = {"schedule": schedule, "augment": augment, "keepers": keepers, "after_epoch": after_epoch}
    found = train_stitches(front, end, at, made, images, **given, **how)
    logits = [model(floats(images)) for model in found.models]
    return found, logits, done


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["one_cycle", "step"])
@pytest.mark.parametrize(
    ("how", "epochs"),
    [
        ({}, 3),
        ({"plateau": 1e-9}, 3),
        ({"robustness": ATTACK, "share": 0.5}, 6),
        ({"drifting": True}, 6),
    ],
    ids=["plain", "plateau", "adversarial", "drifting"],
)
def test_a_training_that_is_killed_after_any_epoch_ends_as_one_that_was_not(tmp_path, how, epochs, schedule):
    whole, logits, _ = trained(schedule=schedule, **how)
    for kill_at in range(1, epochs):

        def keepers(name, folder=tmp_path / str(kill_at)):
            return KeptState(folder / name)

        with pytest.raises(Killed):
            trained(keepers, kill_at, schedule, **how)
        again, same, _ = trained(keepers, schedule=schedule, **how)
        for one, other in zip(whole.stitches, again.stitches, strict=True):
            assert torch.equal(one.weight, other.weight)
            assert torch.equal(one.bias, other.bias)
        assert all(map(torch.equal, logits, same))
        assert again[1:4] == whole[1:4]


def test_finished_epochs_are_not_computed_again(tmp_path, monkeypatch):
    def keepers(name):
        return KeptState(tmp_path / name)

    with pytest.raises(Killed):
        trained(keepers, 2)
    passes = []
    own = Course.add
    monkeypatch.setattr(Course, "add", lambda *given: (passes.append(given[1]), own(*given)))
    trained(keepers)
    assert passes == [0, 1] * 3  # the batches of the third epoch, at two places


def test_a_stitch_that_diverged_before_the_kill_is_flagged_after_it(tmp_path, monkeypatch):
    own, steps = torch.nn.functional.cross_entropy, []

    def poisoned(logits, y):
        steps.append(len(y))
        return own(logits, y) * (float("nan") if len(steps) == 3 else 1)  # step 2, at the first place

    monkeypatch.setattr("modelkin.stitching.training.cross_entropy", poisoned)

    def keepers(name):
        return KeptState(tmp_path / name)

    with pytest.raises(Killed):
        trained(keepers, 1)
    found, *_ = trained(keepers)
    assert found.diverged == [2, None]
    assert torch.isfinite(found.stitches[1].weight).all()


@pytest.mark.parametrize("how", [{}, {"robustness": ATTACK}])
def test_a_training_of_which_every_stitch_diverges_is_flagged_and_raises_nothing(monkeypatch, how):
    monkeypatch.setattr(
        "modelkin.stitching.training.cross_entropy", lambda logits, y: logits.sum() * float("nan")
    )
    assert trained(**how)[0].diverged == [1, 1]


def test_a_stitch_stops_where_its_own_loss_hardly_falls():
    course = Course(2)
    losses = ((4.0, 2.0), (3.0, 1.99), (2.9, 1.0), (2.89, 1.0))
    for epoch, pair in enumerate(losses, start=1):
        for number in course.alive():
            course.add(number, torch.tensor(pair[number]))
        course.end_epoch(epoch, 0.02)
    assert course.flat == [4, 2]
    assert course.stopped_at == 4
    assert course.epochs(4) == [4, 2]


@pytest.mark.parametrize("how", [{}, {"robustness": ATTACK}])
def test_a_plateau_ends_a_training_and_its_stitch_stands_still(how):
    schedule = Schedule(epochs=9, batch_size=16, learning_rate=1e-9, weight_decay=0, optimiser="adam")
    found, _, done = trained(schedule=schedule, plateau=0.5, **how)
    assert found.epochs == [2, 2]
    assert done == [1, 2] * (2 if how else 1)
    assert not any(parameter.requires_grad for stitch in found.stitches for parameter in stitch.parameters())


def test_only_mode_fast_has_a_plateau_and_its_rate_halves():
    section = {"plateau": 0.01}
    fast, published = (Training(Objective("plain"), "random", mode, 0) for mode in ("fast", "published"))
    assert settings.plateau(section, published) is None
    assert settings.schedule_settings(section, published) == settings.schedule_settings({}, published)
    assert settings.plateau(section, fast) == 0.01
    assert settings.plateau({}, fast) is None
    kept = Schedule(**settings.schedule_settings(section, fast))
    assert kept.decay_epochs() == [1, 2, 3, 4, 5, 6, 7]
    assert kept.decay == 0.5
