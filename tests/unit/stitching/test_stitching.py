"""Stitches: what they map, how they match, what training leaves alone, and what they refuse."""

import copy

import numpy as np
import pytest
import torch
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st
from stitchable import blocks, floats, half, some_images
from torch import nn

from modelkin.errors import ModelkinError
from modelkin.operations import stages
from modelkin.optimise.attacks.autoattack import run_autoattack
from modelkin.stitching import judging, layouts, matching, places, settings
from modelkin.stitching.layouts import layout
from modelkin.stitching.norms import with_drifting_norms
from modelkin.stitching.pair import Pair, predicted_together
from modelkin.stitching.stitched import Stitch, stitched_model
from modelkin.stitching.training import train_stitches
from modelkin.study.config import Study
from modelkin.training.schedule import Schedule

SECTION = {"pairs": [["vgg-0", "vgg-0.5"]], "repeats": 1}
SCHEDULE = Schedule(epochs=1, batch_size=16, learning_rate=1e-3, weight_decay=1e-4, optimiser="adam")


@pytest.fixture(scope="module")
def images():
    return some_images()


def test_matching_is_numpys_least_squares(images):
    front, end = half(4, 0), half(5, 1)
    at = (blocks(front)[0], blocks(end)[1])
    found = matching.moments(front, end, [at], floats(images).split(20))
    x, y = floats(images), floats(images)
    values = front.graph.front(at[0])(front.model.prepared(x)).double()
    rows = layouts.moved(values, *_layouts(front, end, at))
    wanted = end.layout(at[1]).rows(end.graph.front(at[1])(end.model.prepared(y)))
    a, b = (np.asarray(each.detach().double().flatten(0, 1)) for each in (rows, wanted))
    ones = np.c_[a, np.ones(len(a))]
    solution = np.linalg.lstsq(ones, b, rcond=None)[0]
    weight, bias = matching.solve(found[at[0].name, at[1].name])
    np.testing.assert_allclose(weight, solution[:-1].T, atol=1e-8)
    np.testing.assert_allclose(bias, solution[-1], atol=1e-8)
    explained = 1 - ((ones @ solution - b) ** 2).sum() / ((b - b.mean(0)) ** 2).sum()
    assert matching.r2(weight, bias, found[at[0].name, at[1].name]) == pytest.approx(explained, abs=1e-10)


def test_the_map_of_all_blocks_is_that_of_each_alone_at_the_ends_positions(images, monkeypatch):
    front, end = half(4, 0), half(5, 1)
    pairs = [(a, b) for a in blocks(front) for b in blocks(end)]  # finer, as fine and coarser
    monkeypatch.setattr(matching, "NUMBERS", 6000)
    found = matching.moments(front, end, pairs, floats(images).split(20))
    assert len({a.shape for a, _ in pairs}) == 2
    for at in pairs:
        x = front.graph.front(at[0])(front.model.prepared(floats(images))).double()
        y = end.graph.front(at[1])(end.model.prepared(floats(images))).double()
        frm, to = _layouts(front, end, at)
        x, y = layouts.moved(x, frm, to).flatten(0, 1), to.rows(y).flatten(0, 1)
        means = x.mean(0), y.mean(0)
        x, y = x - means[0], y - means[1]
        wanted = (x.T @ x, x.T @ y, (y * y).sum(0), *means)
        torch.testing.assert_close(found[at[0].name, at[1].name][:5], wanted, rtol=1e-5, atol=1e-5)


def test_stitched_models_answer_together_as_alone(images):
    front, end = half(4, 0), half(5, 1)
    pair = Pair(front, end, images, images, {}, 0, "cpu")
    at = [places.Place(a, b) for a in blocks(front) for b in blocks(end)]
    stitches = [(place, pair.new_stitch(place)) for place in at]
    for made, each in zip(predicted_together(pair, stitches), stitches, strict=True):
        assert (made == judging.predicted(pair.stitched(*each), images)).all()


def _layouts(front, end, at):
    return front.layout(at[0]), end.layout(at[1])


@given(st.integers(0, 2**31), st.floats(-1e3, 1e3))
def test_matching_finds_any_affine_map_wherever_the_values_lie(seed, offset):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    sums = matching.of_rows(x + offset, 2 * x @ turn.T - offset, size=11)
    for family in ("least_squares", "orthogonal"):
        weight, bias = matching.solve(sums, family)
        torch.testing.assert_close(weight, 2 * turn, atol=1e-6, rtol=0)
        assert matching.r2(weight, bias, sums) == pytest.approx(1, abs=1e-9)


def test_a_dead_front_is_refused():
    with pytest.raises(ModelkinError, match="dead"):
        matching.solve(matching.of_rows(torch.ones(10, 2), torch.randn(10, 2)))


def test_a_random_start_is_torchs_own():
    torch.manual_seed(0)
    made = Stitch(layout((4, 8, 8)), layout((6, 8, 8)))
    torch.manual_seed(0)
    wanted = nn.Conv2d(4, 6, 1)
    torch.testing.assert_close(made.weight, wanted.weight[:, :, 0, 0])
    torch.testing.assert_close(made.bias, wanted.bias)


def test_a_model_stitched_to_itself_by_the_identity_is_the_model(images):
    one = half()
    for cut in blocks(one):
        stitch = Stitch(one.layout(cut), one.layout(cut)).set(torch.eye(4), torch.zeros(4))
        model, x = stitched_model(one, cut, stitch, one, cut), floats(images)
        torch.testing.assert_close(model(x), one.model(x))
        torch.testing.assert_close(model.representation(x), one.model.representation(x))


def test_the_places_of_a_block_are_trained_in_one_pass_as_one_by_one(images):
    front, end = half(4, 0), half(4, 1)
    at = places.places(blocks(front), blocks(end))

    def trained(chosen):
        torch.manual_seed(0)
        made = [Stitch(front.layout(place.front), end.layout(place.end)) for place in at]
        torch.manual_seed(1)
        picked = [made[number] for number in chosen]
        train_stitches(front, end, [at[number] for number in chosen], picked, images, schedule=SCHEDULE)
        return picked

    together = trained([0, 1])
    for number in (0, 1):
        torch.testing.assert_close(trained([number])[0].weight, together[number].weight, rtol=0, atol=1e-7)


def test_the_donors_keep_every_bit(images):
    front, end = half(4, 0), half(4, 1)
    before = [{k: v.clone() for k, v in one.model.state_dict().items()} for one in (front, end)]
    at = places.places(blocks(front), blocks(end))
    robustness = {"recipe": "adversarial", "eps": 0.1, "norm": "linf", "attack_steps": 2}
    for against in (None, robustness):
        made = [Stitch(front.layout(place.front), end.layout(place.end)) for place in at]
        start = made[0].weight.clone()
        train_stitches(front, end, at, made, images, schedule=SCHEDULE, robustness=against)
        assert not torch.equal(start, made[0].weight)
    for one, state in zip((front, end), before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in one.model.state_dict().items())


def test_a_stitch_that_diverges_is_flagged_and_the_others_go_on(images):
    front, end = half(4, 0), half(4, 1)
    at = places.places(blocks(front), blocks(end))
    made = [Stitch(front.layout(place.front), end.layout(place.end)) for place in at]
    with torch.no_grad():
        made[0].weight.fill_(float("nan"))
    found = train_stitches(front, end, at, made, images, schedule=SCHEDULE)
    assert found.diverged == [1, None]
    assert torch.isfinite(made[1].weight).all()


@pytest.mark.parametrize(
    ("front", "end", "shape"),
    [
        ((4, 8, 8), (6, 4, 4), (16, 4)),
        ((4, 8, 8), (17, 6), (17, 4)),  # to patches and a class token
        ((17, 4), (6, 8, 8), (64, 4)),
        ((17, 4), (16, 6), (16, 4)),
        ((8, 8, 4), (6, 8, 8), (64, 4)),  # channels last
        ((5,), (7,), (1, 5)),
    ],
)
def test_values_are_brought_to_the_ends_places(front, end, shape):
    front, end = layout(front), layout(end)
    assert layouts.moved(torch.randn(2, *front.shape), front, end).shape == (2, *shape)
    assert Stitch(front, end)(torch.randn(2, *front.shape)).shape == (2, *end.shape)


def test_what_has_no_grid_fits_no_grid():
    with pytest.raises(ModelkinError, match="no grid of one fits the other"):
        Stitch(layout((5,)), layout((4, 8, 8)))


def test_a_block_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ModelkinError, match="no block '33' to cut at; did you mean '3'"):
        places.cut_points(half().graph, ["33"], "auto")


def test_wilsons_interval_is_that_of_scipy():
    from scipy.stats import binomtest

    wanted = binomtest(7, 40).proportion_ci(method="wilson")
    assert judging.wilson(7 / 40, 40) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pairs": [["vgg-0", "vgg-1"]]}, "end in stitching.*'vgg-1'.*did you mean"),
        ({"pairs": [["vgg-0", "mlp-0"]] * 2}, "is there twice"),
        ({"objective": [{"adversarial": {"alpha": 1.5}}]}, "alpha is the share"),
        ({"objective": ["plian"]}, "did you mean 'plain'"),
        ({"repeats": 0}, "stitching.repeats must be at least 1"),
        ({"train_images": 100}, "100 training images do not fill a batch of 128"),
        ({"epochs": [1, 2, 1]}, "the epochs 1 is there twice"),
        ({"epochs": [0]}, "stitching.epochs"),
        ({"inversions": 10_000}, "inversions asks for 10000 images"),
        ({"t_sne": 70, "test_images": 60}, "and there are 60 test images"),
        ({"t_sne": 4}, "stitching.t_sne must be at least 5"),
        ({"plateau": 1}, "stitching.plateau"),
        ({"at": {"fractions": [1.5]}}, "stitching.at"),
        ({"tasks": ["digit"]}, "did you mean 'digits'"),
        ({"tasks": ["digits", "digits"]}, "the task digits is there twice"),
    ],
)
def test_a_wrong_section_is_one_sentence(changed, said):
    with pytest.raises(ModelkinError, match=f"(?i){said}"):
        Study({**TINY, "stitching": {**SECTION, **changed}})


def test_every_training_that_is_asked_for_is_there_once():
    section = Study({**TINY, "stitching": SECTION}).section("stitching") | {
        "start": ["random", "identity"],
        "repeats": 2,
    }
    asked = settings.trainings(section | {"objective": ["matching", "plain", {"trades": {"beta": 2}}]})
    assert len(set(asked)) == len(asked) == 8
    assert {each.objective.label for each in asked} == {"plain", "trades-2"}


def test_autoattacks_rand_stays_in_its_ball_and_is_no_weaker_than_no_attack(images):
    model, x, y = half().model, floats(images)[:8], torch.from_numpy(images.labels)[:8]
    near = run_autoattack(model, x, y, norm="linf", radius=0.1, version="rand")
    assert float((near - x).abs().max()) <= 0.1 + 1e-6
    assert (model(near).argmax(1) == y).sum() <= (model(x).argmax(1) == y).sum()
    assert not torch.equal(near, x)


OTHER = {"label": "more", "name": "digits", "size": 8, "test": 80, "seed": 3, "probes": False}
ELSEWHERE = {"name": "other", "source": "train", "architecture": "mlp", "dataset": "more"}


def across(**changed):
    models = [*TINY["models"], ELSEWHERE]
    section = {"pairs": [["vgg-0", "other"]], "tasks": ["digits", "more"], **changed}
    return Study({**TINY, "models": models, "other_datasets": [OTHER], "stitching": section})


def test_pairs_across_tasks_are_stitched_on_the_images_of_each():
    study = across()
    assert list(study.stitched_pairs) == ["vgg-0--other@digits", "vgg-0--other@more"]
    assert list(map(study.stitching_task, study.stitched_pairs)) == ["digits", "more"]
    (subject,) = [each for each in stages.get("stitch").subjects(study) if each.dataset == "more"]
    few, many = (
        stages.get("stitch").passes(study, subject._replace(dataset=label))["other"].total
        for label in ("more", "digits")
    )
    assert few > many  # it has fewer test images and more training images
    alone = Study({**TINY, "stitching": SECTION})
    assert {label: alone.stitching_task(label) for label in alone.stitched_pairs} == {
        "vgg-0--vgg-0.5": "digits"
    }


def test_a_model_of_another_task_needs_tasks():
    section = {"pairs": [["vgg-0", "other"]]}
    models = [*TINY["models"], ELSEWHERE]
    with pytest.raises(ModelkinError, match="'other' is a model of another task.*or name `tasks`"):
        Study({**TINY, "models": models, "other_datasets": [OTHER], "stitching": section})


@pytest.mark.parametrize(
    ("key", "said"),
    [("classes", "knows the 10 classes of digits, and more has 7"), ("train", "more has no train split")],
)
def test_tasks_that_do_not_go_together_are_refused(key, said, monkeypatch):
    own = Study._counted
    changed = {"classes": 7, "train": 0}[key]

    def counted(study, label):
        return own(study, label) | ({key: changed} if label == "more" else {})

    monkeypatch.setattr(Study, "_counted", counted)
    models = [*TINY["models"], {**ELSEWHERE, "source": "timm", "architecture": "resnet18"}]
    with pytest.raises(ModelkinError, match=said):
        Study(
            {
                **TINY,
                "models": models,
                "other_datasets": [OTHER],
                "stitching": {"pairs": [["vgg-0", "vgg-0"]], "tasks": ["more"]},
            }
        )


def test_lists_of_epochs_and_rates_are_trained_each():
    section = Study(
        {**TINY, "stitching": {**SECTION, "epochs": [1, 3], "learning_rate": [0.1, 0.01]}}
    ).stitching
    asked = [settings.schedule_settings(section, each) for each in settings.trainings(section)]
    assert [(each["epochs"], each["learning_rate"]) for each in asked] == [
        (1, 0.1),
        (1, 0.01),
        (3, 0.1),
        (3, 0.01),
    ]
    assert settings.baseline_training(section)[-2:] == (1, 0.1)
    plain = settings.trainings(section | {"epochs": 2, "learning_rate": None})
    assert settings.schedule_settings(section, plain[0])["learning_rate"] == 1e-2


def own_modules(front, end, stitch):
    """The stitched network of two donors after their first block, of torch's own modules."""
    first, second = copy.deepcopy(front.model.network), copy.deepcopy(end.model.network)
    made = nn.Sequential(first[0], first[1], nn.Conv2d(4, 4, 1), second[2:])
    with torch.no_grad():
        made[2].weight.copy_(stitch.weight[:, :, None, None])
        made[2].bias.copy_(stitch.bias)
    return made


def test_batch_norms_drift_as_torchs_own(images):
    front, end = half(4, 0), half(4, 1)
    at = places.places(blocks(front), blocks(end))[0]
    stitch = Stitch(front.layout(at.front), end.layout(at.end))
    model = with_drifting_norms(stitched_model(front, at.front, stitch, end, at.end))
    wanted, x = own_modules(front, end, stitch).train(), floats(images)
    for part in x.split(16):
        with torch.no_grad():
            given = model.train()(part)
            torch.testing.assert_close(given, wanted(model.prepared(part)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.eval()(x), wanted.eval()(model.prepared(x)), atol=1e-5, rtol=1e-5)
    mean = front.model.network[1].running_mean
    assert not torch.equal(mean, wanted[1].running_mean)
    assert torch.equal(mean, half(4, 0).model.network[1].running_mean)


@pytest.mark.parametrize(
    "against", [None, {"recipe": "adversarial", "eps": 0.1, "norm": "linf", "attack_steps": 2}]
)
def test_published_norms_leave_the_donors_and_change_the_stitched_model(images, against):
    front, end = half(4, 0), half(4, 1)
    at = places.places(blocks(front), blocks(end))
    made = [Stitch(front.layout(place.front), end.layout(place.end)) for place in at]
    before = {name: value.clone() for name, value in front.model.state_dict().items()}
    found = train_stitches(front, end, at, made, images, schedule=SCHEDULE, robustness=against, drifting=True)
    assert all(torch.equal(value, before[name]) for name, value in front.model.state_dict().items())
    x = floats(images)
    for model, place, stitch in zip(found.models, at, made, strict=True):
        assert model.network.stitch is stitch
        still = stitched_model(front, place.front, stitch, end, place.end)
        assert not torch.allclose(model(x), still(x), atol=1e-4)
