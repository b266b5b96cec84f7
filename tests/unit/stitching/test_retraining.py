"""Last layers trained anew on the same images make two models alike where their features are."""

import numpy as np
import pytest
import torch

from modelkin.operations.stages.columns import COLUMNS
from modelkin.stitching.retraining import Shown, retrained_answers, retrained_columns


def shown(n, seed, turned):
    """Features of one model, and the same turned (another model's), of images of three classes."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, n)
    body = generator.normal(size=(n, 5)) + 2 * np.eye(3, 5)[labels]
    return Shown(body, body @ turned, labels)


TURN = np.linalg.qr(np.random.default_rng(9).normal(size=(5, 5)))[0]


def test_models_of_one_feature_space_agree_after_retraining_however_their_own_last_layers_are():
    test = shown(200, 2, TURN)
    answers = np.zeros(200, int), np.random.default_rng(3).integers(0, 3, 200)
    found = retrained_columns(shown(60, 0, TURN), shown(300, 1, TURN), test, answers)
    assert found["agreement_models"] == pytest.approx((answers[0] == answers[1]).mean())
    assert found["agreement_inverted"] > 0.85 > found["agreement_models"]
    assert found["accuracy_body_inverted"] > 0.75
    assert found["n_retrained"] == 60
    assert {*found} <= {*COLUMNS["stitching_agreement"]}


def test_models_that_see_other_things_in_inverted_images_do_not_agree_after_retraining():
    inverted, test = shown(60, 0, TURN), shown(200, 2, TURN)
    other = inverted._replace(head=np.random.default_rng(5).normal(size=inverted.head.shape))
    answers = test.labels, test.labels
    found = retrained_columns(other, shown(300, 1, TURN), test, answers)
    assert found["agreement_inverted"] < 0.7 < found["agreement_natural"]
    assert found["accuracy_head_inverted"] < 0.7 < found["accuracy_head_natural"]


def test_as_many_natural_images_as_inverted_ones_are_used(monkeypatch):
    seen = []

    def answers(values, labels, asked):
        seen.append((len(values), len(labels)))
        return np.zeros(len(asked), int)

    monkeypatch.setattr("modelkin.stitching.retraining.retrained_answers", answers)
    test = shown(10, 2, TURN)
    retrained_columns(shown(20, 0, TURN), shown(300, 1, TURN), test, (test.labels, test.labels))
    assert seen == [(20, 20)] * 4


def test_images_of_one_class_make_no_last_layer():
    one = shown(20, 0, TURN)._replace(labels=np.zeros(20, int))
    test = shown(10, 2, TURN)
    found = retrained_columns(one, shown(30, 1, TURN), test, (test.labels, test.labels))
    assert np.isnan(found["agreement_inverted"])
    assert found["agreement_natural"] > 0


def test_the_new_last_layer_is_that_of_cross_entropy_and_an_l2_penalty():
    data, test = shown(80, 0, TURN), shown(50, 2, TURN)
    mean, std = data.body.mean(0), data.body.std(0)
    x, asked = (torch.from_numpy((each - mean) / std) for each in (data.body, test.body))
    weight, bias = (torch.zeros(size, dtype=torch.double, requires_grad=True) for size in ((3, 5), (3,)))
    steps = torch.optim.LBFGS([weight, bias], max_iter=500, tolerance_change=1e-12)

    def closure():
        steps.zero_grad()
        logits = x @ weight.T + bias
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(data.labels), reduction="sum")
        loss = loss + (weight**2).sum() / 2
        loss.backward()
        return loss

    steps.step(closure)
    wanted = (asked @ weight.T + bias).argmax(1).numpy()
    assert (retrained_answers(data.body, data.labels, test.body) == wanted).mean() > 0.97
