"""Training: it learns, makes robust what it should, and says when it diverges."""

import numpy as np
import pytest
import torch
from conftest import TRAINING

from modelkin.errors import ModelkinError
from modelkin.training import evaluation, fit
from modelkin.training.objectives import Robustness

EVALUATION = {"norm": "l2", "radius": 0.5, "steps": 5, "step_size": 0.25}


def test_training_learns_and_is_repeatable(digits, trained):
    model, history = trained["standard"]
    assert history[-1]["test_accuracy"] > 0.85
    assert history[-1]["loss"] < history[0]["loss"]
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    again, _ = fit.train(digits["train"], digits["test"], TRAINING, seed=1)
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    other, _ = fit.train(digits["train"], digits["test"], TRAINING | {"epochs": 1}, seed=2)
    assert not torch.equal(other.network[1].weight, model.network[1].weight)


@pytest.mark.parametrize("recipe", ["adversarial", "trades"])
def test_adversarial_training_makes_robust(digits, trained, recipe):
    plain = evaluation.evaluate_model(trained["standard"][0], digits["test"], **EVALUATION)
    robust = evaluation.evaluate_model(trained[recipe][0], digits["test"], **EVALUATION)
    assert robust["adversarial_accuracy"] > plain["adversarial_accuracy"] + 0.1
    assert plain["clean_accuracy"] > plain["adversarial_accuracy"]


def test_linf_training_attacks_within_its_radius(digits):
    against = Robustness("adversarial", 0.1, "linf", 3, 2 / 3, 6.0)
    attack = against.attack(share=0.25)
    assert attack.ball.radius == pytest.approx(0.05)
    assert against.attack(share=0.9).ball.radius == 0.1
    linf = TRAINING | {"recipe": "adversarial", "eps": 0.1, "norm": "linf", "epochs": 1}
    _, history = fit.train(digits["train"], digits["test"], linf, seed=0)
    assert np.isfinite(history[0]["loss"])


def test_diverging_training_is_an_error(digits):
    with pytest.raises(ModelkinError, match="diverged"):
        fit.train(digits["train"], digits["test"], TRAINING | {"learning_rate": 1e30}, seed=0)
