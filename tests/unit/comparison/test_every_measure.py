"""What all measures have in common; a new one is checked as soon as its module is there."""

import dataclasses
import re

import contracts
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkin.comparison import measures
from modelkin.comparison.measures.base import Estimate, Measure, checked
from modelkin.errors import ModelkinError, Undefined

few = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**31)
each = pytest.mark.parametrize("name", measures.names())


def test_a_module_is_a_measure():
    contracts.check_registered(measures, measures.names())


@each
@pytest.mark.parametrize("check", contracts.MEASURE_CHECKS)
def test_every_measure(name, check):
    check(measures.get(name))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in measures.names()
        if measures.get(name).takes in ("representation", "logits", "saliency")
    ],
)
def test_what_it_says_of_nothing_in_common_is_so(name):
    """Of independent features; permuted samples, which stand beside each value as chance, say the same."""
    measure = measures.get(name)
    said = re.findall(r"(no value|\d*\.\d+) \(n = (\d+), p = (\d+)\)", measure.unrelated)
    assert said or measure.takes == "logits" or measure.unrelated == "0 in the mean"
    generator = torch.Generator().manual_seed(0)
    for value, n, p in said or [("0" if measure.takes != "logits" else None, 500, 10)]:
        draws = torch.randn((10, 2, int(n), int(p)), generator=generator)
        if value == "no value":
            with pytest.raises(Undefined):
                contracts.estimated(measure, *draws[0])
            continue
        pairs = [(measure.prepare(a), measure.prepare(b)) for a, b in draws]
        order = torch.randperm(int(n), generator=generator)
        found = sum(measure.compare(a, b).value for a, b in pairs) / 10
        chance = sum(measure.value_of(a, measure.permuted(b, order)) for a, b in pairs) / 10
        near = pytest.approx(found if value is None else float(value), abs=0.03, rel=0.02)
        assert (found, chance) == (near, near), (n, p)


@pytest.mark.parametrize("name", [name for name in measures.names() if measures.get(name).value is not None])
@pytest.mark.parametrize("shape", [(60, 64, 32), (200, 12, 30), (40, 40, 40), (30, 1, 2)])
def test_the_value_alone_is_that_beside_the_error(name, shape):
    measure, generator = measures.get(name), torch.Generator().manual_seed(1)
    n, p, q = shape
    common = torch.randn((n, 3), generator=generator)
    for noise in (0.3, 3.0):
        a, b = (
            measure.prepare(
                common @ torch.randn((3, width), generator=generator)
                + noise * torch.randn((n, width), generator=generator)
            )
            for width in (p, q)
        )
        for other in (b, measure.permuted(b, torch.randperm(n, generator=generator))):
            assert measure.value_of(a, other) == pytest.approx(measure.compare(a, other).value, abs=1e-6)
    with pytest.raises(ModelkinError, match="samples"):
        measure.value_of(a, measure.prepare(torch.randn((n - 1, q), generator=generator)))


@few
@given(seeds)
@each
def test_symmetry_bounds_and_order_of_samples(name, seed):
    contracts.check_measure_value(measures.get(name), seed)


@few
@given(seeds, st.floats(1e-6, 1e6), st.floats(-300, 300))
@pytest.mark.parametrize("name", [name for name in measures.names() if measures.get(name).invariances])
def test_declared_invariances_hold(name, seed, scale, shift):
    contracts.check_measure_invariances(measures.get(name), seed, scale, shift)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@each
def test_gpu_agrees_with_cpu(name):
    measure = measures.get(name)
    x, y = map(torch.as_tensor, contracts.taken(measure))
    there = contracts.estimated(measure, x.cuda(), y.cuda()).value
    assert there == pytest.approx(contracts.estimated(measure, x, y).value, abs=1e-9)


# the checks themselves


def prepare(x) -> dict:
    """Activations, checked."""
    return {"x": checked(x)}


def compare(a: dict, b: dict) -> Estimate:
    """The share of samples whose first features have one sign."""
    same = ((a["x"][:, 0] > 0) == (b["x"][:, 0] > 0)).double()
    return Estimate(float(same.mean()), float(same.std() / len(same) ** 0.5))


def in_place(a: dict, b: dict) -> Estimate:
    """The same, but the first model's activations are halved."""
    found = compare(a, b)
    a["x"] *= 0.5
    return found


GOOD = Measure(
    title="signs",
    takes="logits",
    prepare=prepare,
    compare=compare,
    version=1,
    source="here",
    definition="the share of logits of one sign",
    unrelated=".5 where both signs are as frequent",
    invariances=("scale",),
)
SCALED = dataclasses.replace(
    GOOD, compare=lambda a, b: Estimate(2 * compare(a, b).value, compare(a, b).stderr)
)
WRONG = {
    "out of bounds": (contracts.check_measure_value, SCALED),
    "declared symmetric": (
        contracts.check_measure_value,
        dataclasses.replace(
            GOOD, compare=lambda a, b: Estimate(float((a["x"][:, 0] > b["x"][:, 1]).double().mean()), 0.0)
        ),
    ),
    "order of samples": (
        contracts.check_measure_value,
        dataclasses.replace(
            GOOD, compare=lambda a, b: Estimate(float(torch.sigmoid(a["x"][0, 0] * b["x"][0, 0])), 0.0)
        ),
    ),
    "changes its input": (contracts.check_measure_repeatable, dataclasses.replace(GOOD, compare=in_place)),
    "draws": (
        contracts.check_measure_repeatable,
        dataclasses.replace(GOOD, compare=lambda a, b: Estimate(float(torch.rand(())), 0.0)),
    ),
    "takes NaN": (
        contracts.check_measure_refuses,
        dataclasses.replace(GOOD, prepare=lambda x: {"x": torch.as_tensor(x).flatten(1)}),
    ),
    "not of samples": (
        contracts.check_measure_repeatable,
        dataclasses.replace(GOOD, prepare=lambda x: {"x": checked(x).T}),
    ),
    "moved by a shift": (
        contracts.check_measure_invariances,
        dataclasses.replace(GOOD, invariances=("scale", "shift")),
    ),
    "not declared": (
        contracts.check_measure_declares_all_invariances,
        dataclasses.replace(GOOD, invariances=()),
    ),
    "no such invariance": (
        contracts.check_measure_invariances,
        dataclasses.replace(GOOD, invariances=("mirror",)),
    ),
    "rounds": (
        contracts.check_measure_precision,
        dataclasses.replace(
            GOOD, compare=lambda a, b: Estimate(1.0 if a["x"].dtype == torch.float64 else 0.9, 0.0)
        ),
    ),
    "undocumented": (
        contracts.check_measure_described,
        dataclasses.replace(GOOD, compare=lambda a, b: compare(a, b)),
    ),
    "unknown probes": (contracts.check_measure_described, dataclasses.replace(GOOD, probes=("mirrored",))),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_measure_is_found(what):
    check, measure = WRONG[what]
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(measure)


def test_the_measure_from_which_the_wrong_ones_are_made_is_good():
    for check in (
        contracts.check_measure_described,
        contracts.check_measure_value,
        contracts.check_measure_repeatable,
    ):
        check(GOOD)
