"""What a model is trained for: plain, adversarial (Madry et al. 2018) or TRADES (Zhang et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier
from modelkin.optimise.attacks.base import untargeted
from modelkin.optimise.attacks.pgd import pgd_descent

RECIPES = ("standard", "adversarial", "trades")


@dataclass(frozen=True)
class Robustness:
    """What the model is trained against.

    eps: L2 or Linf radius in units of pixels in [0, 1]; it grows from 0 over the first half of
    training. attack_step is in units of eps. trades_beta weighs TRADES' divergence term.
    """

    recipe: str
    eps: float
    norm: str = "l2"
    attack_steps: int = 3
    attack_step: float = 2 / 3
    trades_beta: float = 6.0

    def __post_init__(self):
        if self.recipe not in RECIPES:
            raise ModelkinError(f"the recipe is one of {', '.join(RECIPES)}, not '{self.recipe}'.")
        if (self.recipe == "standard") != (self.eps == 0):
            raise ModelkinError(f"recipe '{self.recipe}' does not go with eps {self.eps}.")

    def attack(self, share: float):
        """The attack when ``share`` of the training is done."""
        radius = self.eps * min(1.0, 2 * share)
        return pgd_descent(self.norm, radius, self.attack_steps, self.attack_step * radius)

    def objective(self, model: Classifier, x: torch.Tensor, y: torch.Tensor, share: float):
        """The batch's loss and the logits on the images it was trained on, (b, C)."""
        if self.recipe == "trades":
            return self._trades(model, x, y, share)
        if self.recipe == "adversarial":
            model.eval()
            x = untargeted(model, x, y, self.attack(share))
            model.train()
        logits = model(x)
        return cross_entropy(logits, y), logits

    def _trades(self, model: Classifier, x: torch.Tensor, y: torch.Tensor, share: float):
        model.eval()
        with torch.no_grad():
            clean = softmax(model(x), 1)

        def losses(near: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            return -kl_div(log_softmax(model(near), 1), clean[index], reduction="none").sum(1)

        # The divergence has no gradient at x itself, so the attack starts a little beside it.
        start = (x + 1e-3 * torch.randn_like(x)).clamp(0, 1)
        near = self.attack(share).run(losses, start, centre=x).images
        model.train()
        logits, near_logits = model(x), model(near)
        divergence = kl_div(log_softmax(near_logits, 1), softmax(logits, 1), reduction="batchmean")
        return cross_entropy(logits, y) + self.trades_beta * divergence, near_logits
