"""The optimisation engine against the published recipes written out, and where it could go wrong."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkin.errors import ModelkinError
from modelkin.optimise.descent import Ball, Descent, project
from modelkin.optimise.steps import InTurn, Momentum, QuasiNewton, steepest


@pytest.fixture
def problem():
    """Images in [0, 1] and a loss with its minimum inside."""
    torch.manual_seed(0)
    start, target = torch.rand(2, 7, 2, 4, 4, dtype=torch.float64)

    def losses(x, index):
        return torch.linalg.vector_norm((x - target[index]).flatten(1), dim=1)

    return start, target, losses


def published(losses, x, steps, size, momentum):
    """jones2022: g / ||g||, m <- 0.9 m + 0.1 g, x <- x - step m, clamp; the best iterate is kept."""
    m, best, lowest = torch.zeros_like(x), x.clone(), torch.full((len(x),), torch.inf, dtype=x.dtype)
    index = torch.arange(len(x))
    for step in range(steps + 1):
        x = x.detach().requires_grad_(True)
        loss = losses(x, index)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        x, better = x.detach(), loss.detach() < lowest
        best[better], lowest[better] = x[better], loss.detach()[better]
        if step < steps:
            norm = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            m = momentum * m + (1 - momentum) * gradient / norm
            x = (x - size * m).clamp(0, 1)
    return best, lowest


def test_inversion_recipe_step_by_step(problem):
    start, _, losses = problem
    found = Descent(10, Momentum(0.125, decay=0.9)).run(losses, start)
    best, lowest = published(losses, start, 10, 0.125, 0.9)
    assert torch.allclose(found.images, best, atol=1e-13)
    assert torch.allclose(found.losses, lowest, atol=1e-13)
    assert found.steps.tolist() == [10] * 7


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pgd_recipe_step_by_step(problem, norm):
    start, _, losses = problem
    found = Descent(5, Momentum(0.1, norm), Ball(norm, 0.2), keep="last").run(losses, start)
    x = start
    for _ in range(5):
        x = x.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(losses(x, torch.arange(7)).sum(), x)
        flat = gradient.flatten(1)
        unit = gradient.sign() if norm == "linf" else gradient / flat.norm(dim=1).view(-1, 1, 1, 1)
        offset = x.detach() - 0.1 * unit - start
        if norm == "linf":
            offset = offset.clamp(-0.2, 0.2)
        else:
            length = offset.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            offset = offset * (0.2 / length).clamp(max=1)
        x = (start + offset).clamp(0, 1)
    assert torch.allclose(found.images, x, atol=1e-14)


RULES = [
    Momentum(0.2, decay=0.5, schedule="cosine"),
    QuasiNewton(3),
    InTurn(Momentum(0.2), QuasiNewton(3), below=0.8),
]


@pytest.mark.parametrize("rule", RULES)
def test_batch_size_changes_nothing(problem, rule):
    start, _, losses = problem
    descent = Descent(20, rule, stop_below=0.3)
    whole, parts = (descent.run(losses, start, batch_size=size) for size in (None, 2))
    assert torch.allclose(whole.images, parts.images, atol=1e-12)
    assert torch.equal(whole.steps, parts.steps)


def test_finished_samples_stop(problem):
    start, target, losses = problem
    start = torch.cat([target[:1], start[1:]])
    found = Descent(50, Momentum(0.1), stop_below=0.5).run(losses, start)
    assert found.steps[0] == 0
    assert torch.equal(found.images[0], target[0])
    assert (found.losses < 0.5).all()
    assert (found.steps < 50).all()


def test_the_best_iterate_is_kept(problem):
    start, _, losses = problem
    seen = []

    def watched(x, index):
        seen.append(losses(x, index))
        return seen[-1]

    found = Descent(9, Momentum(1.5)).run(watched, start)
    seen = torch.stack(seen).detach()
    assert torch.equal(found.losses, seen.amin(0))
    assert torch.allclose(losses(found.images, torch.arange(7)), found.losses)
    assert (seen[-1] > found.losses).any(), "the last was always the best, so this tests nothing"


@pytest.mark.parametrize("rule", RULES)
def test_zero_gradient_makes_no_step_and_no_nan(rule):
    start = torch.rand(3, 1, 4, 4)
    found = Descent(4, rule).run(lambda x, i: 1 + (0 * x).flatten(1).sum(1), start)
    assert torch.equal(found.images, start)


def ellipsoid(seed=0, d=12, n=5):
    """A distance ||A (x - target)|| with a curvature of its own for each sample, and starts near its zero."""
    torch.manual_seed(seed)
    towards, target = torch.randn(n, d, d, dtype=torch.float64), torch.full((n, 1, 3, 4), 0.5).double()

    def losses(x, index):
        return torch.linalg.vector_norm(
            towards[index] @ (x - target[index]).flatten(1).unsqueeze(2), dim=(1, 2)
        )

    return target + 0.05 * torch.randn(n, 1, 3, 4, dtype=torch.float64), losses


def lbfgs(losses, x, steps, memory):
    """L-BFGS on half the squared loss of one sample: Nocedal and Wright, algorithm 7.4, with unit steps."""
    pairs, best, limit = [], torch.inf, torch.inf
    before = at = slope = None
    for _ in range(steps + 1):
        x = x.detach().requires_grad_(True)
        loss = losses(x)
        (g,) = torch.autograd.grad(loss, x)
        x, loss = x.detach(), float(loss.detach())
        g = loss * g.flatten()
        best = min(best, loss)
        if before is not None:
            s, y = x.flatten() - at, g - slope
            pairs = [*pairs, (s, y)][-memory:]
            limit = max(limit, 1.5 * s.norm()) if loss < before else 0.7 * s.norm()
        before, at, slope, q, alphas = loss, x.flatten(), g, g.clone(), []
        good = [(s, y) for s, y in pairs if s @ y > 1e-6 * s.norm() * y.norm()]
        for s, y in reversed(good):
            alphas.append((s @ q) / (s @ y))
            q = q - alphas[-1] * y
        q = q * ((good[-1][0] @ good[-1][1]) / (good[-1][1] @ good[-1][1]) if good else loss**2 / (g @ g))
        for (s, y), alpha in zip(good, reversed(alphas), strict=True):
            q = q + (alpha - (y @ q) / (s @ y)) * s
        q = q * min(1, limit / q.norm())
        x = (x - q.view_as(x)).clamp(0, 1)
    return best


def test_quasi_newton_is_l_bfgs_step_by_step():
    start, losses = ellipsoid()
    for steps in (1, 2, 5, 9):
        found = Descent(steps, QuasiNewton(4)).run(losses, start, batch_size=3)
        for i in range(len(start)):
            alone = lbfgs(lambda x, i=i: losses(x, torch.tensor([i]))[0], start[i : i + 1], steps, 4)
            assert float(found.losses[i]) == pytest.approx(float(alone), rel=1e-6)


def test_quasi_newton_needs_fewer_steps_and_no_step_size():
    for scale in (1.0, 1e-3, 1e3):
        start, losses = ellipsoid()

        def scaled(x, index, losses=losses, scale=scale):
            return scale * losses(x, index)

        newton = Descent(60, QuasiNewton()).run(scaled, start).losses
        gradient = Descent(60, Momentum(0.02, decay=0.9, schedule="cosine")).run(scaled, start).losses
        assert (newton < 0.05 * gradient).all()


def test_rules_in_turn_take_over_where_the_loss_is_low(problem):
    start, _, losses = problem
    slow, quick = Momentum(0.05), QuasiNewton()
    never, at_once, then = (
        Descent(8, InTurn(slow, quick, below)).run(losses, start) for below in (0, 9, 2.0)
    )
    assert torch.equal(never.images, Descent(8, slow).run(losses, start).images)
    assert torch.equal(at_once.images, Descent(8, quick).run(losses, start).images)
    # This loss is linear along its gradient, so the first quasi-Newton step ends it.
    assert (then.losses < 1e-9).any()
    assert (never.losses > 0.1).all()


def test_nan_is_an_error_in_one_sentence():
    def broken(x, index):
        return x.flatten(1).sum(1) * torch.nan

    with pytest.raises(ModelkinError, match="NaN"):
        Descent(2, Momentum(0.1)).run(broken, torch.rand(2, 1, 2, 2))


def test_progress_ends_with_all_done(problem):
    start, _, losses = problem
    told = []
    Descent(3, Momentum(0.1)).run(losses, start, batch_size=3, progress=lambda *seen: told.append(seen))
    assert told[-1][0] == len(start)
    assert all(seen[2] < 10 for seen in told), "a loss is known from the first step on"
    assert [seen[1] for seen in told] == sorted(seen[1] for seen in told)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(1e-30, 1e30), st.sampled_from(["l2", "linf"]))
def test_steepest_and_project(seed, scale, norm):
    torch.manual_seed(seed)
    gradient = scale * torch.randn(3, 2, 3, 3, dtype=torch.float64)
    gradient[0] = 0
    unit = steepest(gradient, norm)
    sizes = unit.flatten(1).norm(dim=1) if norm == "l2" else unit.flatten(1).abs().amax(1)
    assert sizes.tolist() == pytest.approx([0, 1, 1])
    inside = project(gradient, Ball(norm, 0.5))
    sizes = inside.flatten(1).norm(dim=1) if norm == "l2" else inside.flatten(1).abs().amax(1)
    assert (sizes <= 0.5 + 1e-12).all()
    assert torch.allclose(project(inside, Ball(norm, 0.5)), inside)
