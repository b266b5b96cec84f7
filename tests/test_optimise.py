"""The optimisation engine against the published recipes written out, and where it could go wrong."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkin.errors import ModelkinError
from modelkin.optimise import Descent, project, steepest


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
    found = Descent(steps=10, step_size=0.125, momentum=0.9).run(losses, start)
    best, lowest = published(losses, start, 10, 0.125, 0.9)
    assert torch.allclose(found.images, best, atol=1e-13)
    assert torch.allclose(found.losses, lowest, atol=1e-13)
    assert found.steps.tolist() == [10] * 7


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pgd_recipe_step_by_step(problem, norm):
    start, _, losses = problem
    found = Descent(steps=5, step_size=0.1, norm=norm, radius=0.2, keep="last").run(losses, start)
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


def test_batch_size_changes_nothing(problem):
    start, _, losses = problem
    descent = Descent(steps=20, step_size=0.2, momentum=0.5, schedule="cosine", stop_below=0.3)
    whole, parts = (descent.run(losses, start, batch_size=size) for size in (None, 2))
    assert torch.allclose(whole.images, parts.images, atol=1e-12)
    assert torch.equal(whole.steps, parts.steps)


def test_finished_samples_stop(problem):
    start, target, losses = problem
    start = torch.cat([target[:1], start[1:]])
    found = Descent(steps=50, step_size=0.1, stop_below=0.5).run(losses, start)
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

    found = Descent(steps=9, step_size=1.5).run(watched, start)
    seen = torch.stack(seen).detach()
    assert torch.equal(found.losses, seen.amin(0))
    assert torch.allclose(losses(found.images, torch.arange(7)), found.losses)
    assert (seen[-1] > found.losses).any(), "the last was always the best, so this tests nothing"


def test_zero_gradient_makes_no_step_and_no_nan():
    start = torch.rand(3, 1, 4, 4)
    found = Descent(steps=4, step_size=0.1, momentum=0.9).run(lambda x, i: (0 * x).flatten(1).sum(1), start)
    assert torch.equal(found.images, start)


def test_nan_is_an_error_in_one_sentence():
    def broken(x, index):
        return x.flatten(1).sum(1) * torch.nan

    with pytest.raises(ModelkinError, match="NaN"):
        Descent(steps=2, step_size=0.1).run(broken, torch.rand(2, 1, 2, 2))


def test_progress_ends_with_all_done(problem):
    start, _, losses = problem
    told = []
    Descent(steps=3, step_size=0.1).run(losses, start, batch_size=3, progress=lambda *seen: told.append(seen))
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
    inside = project(gradient, norm, 0.5)
    sizes = inside.flatten(1).norm(dim=1) if norm == "l2" else inside.flatten(1).abs().amax(1)
    assert (sizes <= 0.5 + 1e-12).all()
    assert torch.allclose(project(inside, norm, 0.5), inside)
