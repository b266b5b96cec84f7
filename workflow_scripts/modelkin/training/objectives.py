"""What a model is trained for: plain, adversarial (Madry et al. 2018) or TRADES (Zhang et al. 2019)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import least_starts, pgd_descent
from modelkin.optimise.descent import PerturbationDescent
from modelkin.training.schedule import EPS_RAMP

RECIPES = ("standard", "adversarial", "trades")


@dataclass(frozen=True)
class Robustness:
    """What the model is trained against.

    eps: radius in units of the threat, for L2 and Linf pixels in [0, 1]; it grows from 0 over the first part
    of training, ``eps_ramp`` of it. norm: the threat, a name of :mod:`modelkin.optimise.threats`; attacks
    under others than L2 and Linf start at random. attack_step is in units of eps.
    trades_beta weighs TRADES' divergence term.
    """

    recipe: str
    eps: float
    norm: str = "l2"
    attack_steps: int = 3
    attack_step: float = 2 / 3
    trades_beta: float = 6.0
    eps_ramp: float = EPS_RAMP

    def __post_init__(self):
        if self.recipe not in RECIPES:
            raise ModelkinError(f"the recipe is one of {', '.join(RECIPES)}, not '{self.recipe}'.")
        if (self.recipe == "standard") != (self.eps == 0):
            raise ModelkinError(f"recipe '{self.recipe}' does not go with eps {self.eps}.")

    def attack(self, share: float):
        """The attack when ``share`` of the training is done."""
        radius = self.eps * min(1.0, share / self.eps_ramp) if self.eps_ramp else self.eps
        return pgd_descent(self.norm, radius, self.attack_steps, self.attack_step * radius)

    def objective(self, model: Classifier, x: torch.Tensor, y: torch.Tensor, share: float):
        """The batch's loss and the logits on the images it was trained on, (b, C)."""
        if self.recipe == "trades":
            return self._trades(model, x, y, share)
        if self.recipe == "adversarial":
            with in_eval_mode(model):
                x = untargeted(model, x, y, self.attack(share), starts=least_starts(self.norm))
        logits = model(x)
        return cross_entropy(logits, y), logits

    def _trades(self, model: Classifier, x: torch.Tensor, y: torch.Tensor, share: float):
        with in_eval_mode(model):
            near = self._diverging(model, x, share)
        logits, near_logits = model(x), model(near)
        divergence = kl_div(log_softmax(near_logits, 1), softmax(logits, 1), reduction="batchmean")
        return cross_entropy(logits, y) + self.trades_beta * divergence, near_logits

    def _diverging(self, model: Classifier, x: torch.Tensor, share: float) -> torch.Tensor:
        """Images near x (b, c, h, w) on which the model's answers diverge from those on x."""
        with torch.no_grad():
            clean = softmax(model(x), 1)

        def losses(near: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            return -kl_div(log_softmax(model(near), 1), clean[index], reduction="none").sum(1)

        attack = self.attack(share)
        if isinstance(attack, PerturbationDescent):
            return attack.run_from_random(losses, x).images
        # The divergence has no gradient at x itself, so the attack starts a little beside it.
        start = (x + 1e-3 * torch.randn_like(x)).clamp(0, 1)
        return attack.run(losses, start, centre=x).images


@contextlib.contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while; then each of its modules is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
