"""Which pairs each model completes, and that only the same samples are compared."""

import numpy as np
import pytest
import xarray as xr

from modelkin import probe_kinds
from modelkin.comparison import measures, similarity
from modelkin.comparison.pairs import Pair, completed_pairs
from modelkin.comparison.recorded import shell_runs, stored_at
from modelkin.errors import ModelkinError


def test_shells_hold_every_run_once():
    order = list("abcd")
    runs = [run for i in range(1, 5) for run in shell_runs("inverted", order[:i])]
    assert sorted(runs) == sorted(("inverted", source, observer) for source in order for observer in order)
    # What a shell writes is where a later shell looks.
    for i, newest in enumerate(order):
        for run in shell_runs("inverted", order[: i + 1]):
            manifest, _ = stored_at(run, order)
            assert manifest == f"activations/inverted/{newest}.json"


def test_pairs_of_all_shells_are_all_pairs():
    order = list("abcd")
    found = [pair for i, name in enumerate(order) for pair in completed_pairs(name, order[:i], "digits")]
    assert len(found) == len(set(found)) == 4 * 5 // 2 + 4 * 4
    every = probe_kinds.all_kinds(["other"], adversarial=True)
    assert every == ["natural", "inverted", "adversarial", "natural:other", "inverted:other"]
    more = [p for i, name in enumerate(order) for p in completed_pairs(name, order[:i], "digits", every)]
    assert len(more) == len(set(more)) == 3 * 10 + 2 * 16


def observed(ids):
    values = np.random.default_rng(0).normal(size=(len(ids), 4))
    return xr.Dataset({"representation": (("sample", "feature"), values)}, coords={"sample": ids})


@pytest.mark.parametrize("ids", [["a", "b", "d", "c"], ["a", "b", "c"]])
def test_activations_of_different_samples_are_never_compared(ids):
    held = {"m": observed(["a", "b", "c", "d"]), "o": observed(ids)}
    with pytest.raises(ModelkinError, match="'m' and 'o' on the natural probe of 'digits' are of different"):
        similarity.similarity_rows(
            [Pair("natural", "digits", "m", "o")],
            lambda run, what: held[run.observer][what],
            [measures.ConfiguredMeasure("linear_cka")],
            permutations=1,
            seed=0,
        )
