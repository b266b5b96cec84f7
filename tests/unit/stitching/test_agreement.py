"""Heads on other models' representations: whom they agree with, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from torch import nn

from modelkin import figures
from modelkin.errors import ModelkinError
from modelkin.figures import base
from modelkin.networks.classifier import Classifier, frozen
from modelkin.stitching import agreement
from modelkin.stitching.agreement import Computed
from modelkin.study.config import Study


def classifier(*last, seed=0):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), *last)
    return frozen(Classifier(network, [name for name, _ in network.named_children()][3], [0.5], [0.5], 8))


def computed(model, seed=0):
    train, test = (
        torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed + n)) for n in (90, 40)
    )
    found = [model.both(each) for each in (train, test)]
    return Computed(found[0][0].numpy(), found[1][0].numpy(), found[1][1].flatten(1).argmax(1).numpy())


def test_shares_are_those_counted_by_hand():
    stitched = np.array([0, 1, 0, 2, 1, 2, 0])
    body, head = np.array([0, 1, 1, 1, 1, 0, 1]), np.array([0, 1, 1, 0, 0, 2, 0])
    labels = np.array([0, 0, 1, 0, 1, 2, 2])
    found = agreement.compared_answers(stitched, body, head, labels)
    assert found["agreement_right"] == 1 / 2
    assert found["n_right"] == 2
    assert found["agreement_wrong"] == 1
    assert found["n_wrong"] == 1
    assert found["agreement_differ"] == 2 / 4
    assert found["n_differ"] == 4
    assert (found["differ_body"], found["differ_neither"]) == (1 / 4, 1 / 4)
    assert (found["differ_head_right"], found["differ_body_right"]) == (2 / 4, 1 / 4)
    assert found["agreement_all"] == pytest.approx(4 / 7)
    assert (found["accuracy_body"], found["accuracy_head"]) == pytest.approx((3 / 7, 4 / 7))
    assert found["accuracy_stitched"] == pytest.approx(3 / 7)


def test_shares_of_no_images_are_missing():
    same = np.array([0, 1])
    found = agreement.compared_answers(same, same, same, same)
    assert found["agreement_right"] == 1
    assert found["n_differ"] == 0
    assert all(np.isnan(found[name]) for name in ("agreement_wrong", "agreement_differ", "differ_neither"))


@pytest.mark.parametrize("last", [(nn.Flatten(), nn.Linear(6, 3)), (nn.Conv2d(6, 3, 1), nn.Flatten())])
def test_a_head_alone_gives_the_models_answers(last):
    model = classifier(*last)
    if isinstance(last[0], nn.Flatten):
        model.head = "4"
    own = computed(model)
    assert agreement.check_head(agreement.head_of(model), own, "it") == ""


def test_a_model_that_is_more_than_its_head_is_told():
    class Reversed(nn.Module):
        def forward(self, logits):
            return -logits

    model = classifier(nn.Flatten(), nn.Linear(6, 3), Reversed())
    model.head = "4"
    said = agreement.check_head(agreement.head_of(model), computed(model), "it")
    assert "'it' computes more after its representation" in said


def test_a_body_that_is_a_linear_map_of_the_head_gives_its_answers():
    model = classifier(nn.Flatten(), nn.Linear(6, 3))
    model.head = "4"
    own = computed(model)
    turn = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
    body = Computed(own.train @ turn + 3, own.test @ turn + 3, np.roll(own.answers, 1))
    row = agreement.agreement_row(body, own, agreement.head_of(model), own.answers)
    assert row["agreement_all"] == row["accuracy_stitched"] == 1
    assert row["r2"] == pytest.approx(1, abs=1e-6)
    assert row["accuracy_body"] == (body.answers == own.answers).mean()


def test_the_map_is_scikit_learns():
    ends = [classifier(nn.Flatten(), nn.Linear(6, 3), seed=seed) for seed in (0, 1)]
    for each in ends:
        each.head = "4"
    body, head = map(computed, ends)
    row = agreement.agreement_row(body, head, agreement.head_of(ends[1]), head.answers)
    fitted = LinearRegression().fit(body.train.astype(float), head.train.astype(float))
    given = fitted.predict(body.test.astype(float))
    wanted = r2_score(head.test, given, multioutput="variance_weighted")
    assert row["r2"] == pytest.approx(wanted, abs=1e-6)
    logits = given @ ends[1].network[4].weight.double().numpy().T + ends[1].network[4].bias.double().numpy()
    assert row["agreement_all"] == (logits.argmax(1) == head.answers).mean()


def test_a_body_that_is_the_same_for_all_images_has_a_note():
    model = classifier(nn.Flatten(), nn.Linear(6, 3))
    model.head = "4"
    own = computed(model)
    dead = own._replace(train=np.ones_like(own.train))
    row = agreement.row_or_note(dead, own, agreement.head_of(model), own.answers)
    assert "dead" in row["note"]


def asking(models=TINY["models"], **section):
    return Study({**TINY, "models": models, "stitching": section})


def test_every_model_meets_those_of_its_level_that_came_before():
    study = asking(agreement={})
    assert [study.stitched_heads(name) for name in study.names] == [[], ["vgg-0"], [], ["vgg-0.5"]]
    other = [*TINY["models"], {**TINY["models"][2], "name": "linf", "norm": "linf"}]
    assert asking(other, agreement={}).stitched_heads("linf") == []
    assert asking(other, agreement={"pairs": "all"}).stitched_heads("linf") == [
        m["name"] for m in TINY["models"]
    ]
    assert study.stitched_pairs == {}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "nothing is asked for"),
        ({"agreement": {"pairs": "levels"}}, "pairs"),
        ({"agreement": {"train_images": 1}}, "at least 2"),
    ],
)
def test_a_wrong_section_is_one_sentence(section, said):
    with pytest.raises(ModelkinError, match=said):
        asking(**section)


def test_levels_of_one_model_each_have_no_pair():
    with pytest.raises(ModelkinError, match="no two models are of one robustness level"):
        asking(TINY["models"][1:3], agreement={})


@pytest.mark.parametrize("levels", [(0.0, 0.0, 1.0, 1.0), (0.0, 1.0, 2.0, 3.0), (0.0,) * 4])
def test_the_figure_draws(levels):
    names = list("abcd")
    models = pd.DataFrame({"name": names, "eps": levels, "norm": "l2", "same_weights_as": None})
    rows = [
        agreement.compared_answers(*np.random.default_rng(n).integers(0, 3, (4, 50)))
        | {"body": body, "head": head, "n": 50}
        for n, (body, head) in enumerate((a, b) for a in names for b in names if a != b)
    ]
    data = {"models": models, "stitching_agreement": pd.DataFrame(rows)}
    base.style()
    drawn = figures.get("stitching_agreement").draw(data, {"palette": "colorblind"})
    assert any(axis.has_data() for axis in drawn.axes)
    drawn.canvas.draw()
    base.plt.close(drawn)
