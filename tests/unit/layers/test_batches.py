"""How images are dealt into batches: what it does to values, and what it costs."""

import itertools

import pytest

from modelkin.layers.batches import PASSES, SIZES, cheapest_deal, dealing_cost, dealing_error


@pytest.mark.parametrize(("batch", "spread", "off"), [(64, 0.0075, 0.0025), (256, 0.0035, 0.001)])
def test_the_error_is_that_which_was_measured_on_400_images(batch, spread, off):
    assert dealing_error(400, batch, 1) == pytest.approx((spread**2 + off**2) ** 0.5, rel=0.1)
    assert dealing_error(400, batch, 10**6) == pytest.approx(off, rel=0.3)


def test_all_images_at_once_are_exact():
    assert dealing_error(400, 400, 1) == 0
    assert cheapest_deal(400, 1e-6, 0.01) == (400, 1)


@pytest.mark.parametrize("products", [0.0, 0.001, 0.01, 1.0])
@pytest.mark.parametrize("error", [0.02, 0.005, 0.002])
def test_no_other_deal_of_so_little_error_is_cheaper(error, products):
    found = cheapest_deal(2000, error, products)
    assert dealing_error(2000, *found) <= error
    others = (deal for deal in itertools.product(SIZES, PASSES) if dealing_error(2000, *deal) <= error)
    assert dealing_cost(*found, products) == min(dealing_cost(*deal, products) for deal in others)
