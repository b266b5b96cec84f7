"""From where on blocks can be replaced: only where intervals say so, and against the front itself."""

import numpy as np
import pandas as pd
import pytest

from modelkin.operations.stages.columns import COLUMNS
from modelkin.stitching.advice import columns, replaceable_table
from modelkin.stitching.judging import wilson

N = 2000


def row(objective, accuracy, robust, block=np.nan, agreement=1.0, **more):
    low, high = wilson(robust, N)
    return {
        **dict.fromkeys(COLUMNS["stitching"]),
        **{"front": "a", "end": "b", "task": "digits", "objective": objective, "block": block},
        **{"accuracy": accuracy, "n": N, "robust_n": N, "agreement_front": agreement},
        **{"robust_accuracy": robust, "robust_accuracy_low": low, "robust_accuracy_high": high},
        **{"front_block": str(block), "end_block": str(block), "r2": 0.5},
        **more,
    }


def table(*blocks, **more):
    rows = [row("whole front", 0.9, 0.5), row("random end", 0.4, 0.1, 2, start="random")]
    rows += [row("matching", *values, number) for number, values in enumerate(blocks, start=1)]
    return pd.DataFrame([each | more for each in rows])


def advised(*blocks, **more):
    (found,) = replaceable_table(table(*blocks, **more)).to_dict("records")
    return found


def test_the_first_block_without_loss_is_named():
    found = advised((0.6, 0.5), (0.89, 0.49), (0.9, 0.5), agreement_front=0.95)
    assert found["recommended"]
    assert found["block"] == 2
    assert found["loss"] == pytest.approx(0.01)
    half = 1.959964 * ((0.05 + 1 / N - 0.01**2) / N) ** 0.5
    assert found["loss_high"] == pytest.approx(0.01 + half)
    assert found["random_end"] == 0.4


@pytest.mark.parametrize(
    ("blocks", "agreement"),
    [
        ([(0.89, 0.2)], 0.95),  # robustness is lost
        ([(0.80, 0.5)], 0.85),  # accuracy is lost
        ([(0.88, 0.5)], 0.5),  # a loss of that size is not excluded
    ],
)
def test_nothing_is_recommended_that_may_lose(blocks, agreement):
    assert not advised(*blocks, agreement_front=agreement)["recommended"]


def test_a_training_that_diverged_is_not_recommended():
    assert not advised((0.9, 0.5), diverged_at=3)["recommended"]


def test_repeats_are_averaged_and_their_number_said():
    good, bad = (table(values, agreement_front=1.0) for values in ((0.9, 0.5), (0.7, 0.5)))
    both = pd.concat([good, bad.query("objective == 'matching'")])
    (found,) = replaceable_table(both).to_dict("records")
    assert found["repeats"] == 2
    assert found["accuracy"] == pytest.approx(0.8)
    assert not found["recommended"]


def test_the_robust_interval_is_newcombes():
    # Method 10 for 56/70 and 48/80, as published: Statistics in Medicine 17, 1998, Table II.
    found = table((0.9, 48 / 80))
    found["robust_n"] = [70, 70, 80]
    for at, (share, n) in zip((0, 2), ((56 / 70, 70), (48 / 80, 80)), strict=True):
        low, high = wilson(share, n)
        found.loc[at, ["robust_accuracy", "robust_accuracy_low", "robust_accuracy_high"]] = share, low, high
    (row,) = replaceable_table(found).to_dict("records")
    assert (row["robust_loss_low"], row["robust_loss_high"]) == pytest.approx((0.0524, 0.3339), abs=2e-4)


def test_the_columns_are_those_of_the_dictionary():
    assert columns() == list(COLUMNS["stitching_replaceable"])
    assert replaceable_table(table((0.9, 0.5)).query("objective == 'matching'")).empty
