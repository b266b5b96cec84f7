"""The pairs that a new model completes, and the rows of the similarity table they give.

It knows measures only through their interface, and nothing of where activations are kept.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
import xarray as xr

from modelkin import precision, seeds
from modelkin.comparison import measures
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.pairs import Pair, Run, check_same_samples, runs_of
from modelkin.errors import ModelkinError, Undefined

NORMAL_95 = 1.959964
FEW = 30  # samples below which normal intervals say little


# What a run computed, by name, with a sample coordinate: as of modelkin.comparison.recorded.Recorded.
Read = Callable[[Run, str], xr.DataArray]


def similarity_rows(
    wanted: Sequence[Pair],
    read: Read,
    chosen: Sequence[ConfiguredMeasure],
    *,
    permutations: int,
    seed: int,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """One row for each pair and measure.

    read(run, what): what a model computed on a probe (see :class:`modelkin.comparison.recorded.Recorded`).
    Columns: kind, source, model_a, model_b, measure, value, stderr, ci_low,
    ci_high (95 %), chance (mean over seeded permutations of b's samples, NaN where that says nothing),
    n (samples). A pair for which a measure is undefined has NaN and n = 0.
    """

    @functools.lru_cache(maxsize=3)
    def observed(run: Run) -> _Observed:
        return _Observed(functools.partial(read, run), device)

    table = []
    for done, pair in enumerate(wanted):
        if progress is not None:
            progress(done)
        a, b = map(observed, runs_of(pair))
        for configured in chosen:
            measure = measures.get(configured.name)
            if not measure.measurable(pair.kind):
                continue
            n = check_same_samples(a.samples(measure.takes), b.samples(measure.takes), pair)
            rng = seeds.generator(seed, "chance", *pair)
            orders = [torch.from_numpy(rng.permutation(n)).to(device) for _ in range(permutations)]
            # The precision of networks is not that of measures.
            with precision.full_products(torch.device(device)):
                measured = _measure(configured, a, b, pair, orders)
            table.append({**pair._asdict(), "n": n, **measured})
    return pd.DataFrame(table)


def remarks(rows: pd.DataFrame) -> Iterator[str]:
    """What a reader of these rows must know: a sentence for each measure that is undefined for some pairs, or
    rests on few samples.
    """
    for measure, part in rows.groupby("measure", sort=False):
        for what, found in (
            ("is not defined for", part[part["n"] == 0]),
            (f"rests on fewer than {FEW} samples for", part[part["n"].between(1, FEW - 1)]),
        ):
            if len(found):
                first = found.iloc[0]
                yield (
                    f"{measure} {what} {len(found)} of {len(part)} pairs, first '{first['model_a']}' and "
                    f"'{first['model_b']}' on the {first['kind']} probe (n = {first['n']})"
                )


class _Observed:
    """One model's activations on one probe, and what each measure has prepared of them."""

    def __init__(self, read: Callable[[str], xr.DataArray], device: torch.device | str):
        self._read, self._device = functools.cache(read), device
        self._parts: dict[str, dict] = {}

    def samples(self, what: str) -> np.ndarray:
        return self._read(what)["sample"].to_numpy()

    def part(self, configured: ConfiguredMeasure) -> dict:
        if configured.label not in self._parts:
            measure = measures.get(configured.name)
            values = torch.from_numpy(self._read(measure.takes).values).to(self._device)
            self._parts[configured.label] = measure.prepare(values, **configured.settings)
        return self._parts[configured.label]


def _measure(
    configured: ConfiguredMeasure, a: _Observed, b: _Observed, pair: Pair, orders: list
) -> dict[str, object]:
    measure = measures.get(configured.name)
    try:
        value, stderr, n = measure.compare(a.part(configured), b.part(configured))
        shuffled = (measure.permuted(b.part(configured), order) for order in orders if measure.chance)
        chance = [measure.value_of(a.part(configured), part) for part in shuffled]
    except Undefined:
        value, stderr, n, chance = math.nan, math.nan, 0, []
    except ModelkinError as error:
        where = f"'{pair.model_a}' and '{pair.model_b}' on the {pair.kind} probe of '{pair.source}'"
        raise ModelkinError(f"{configured.label} of {where}: {error}") from None
    low, high = measure.bounds
    value = float(np.clip(value, low, high))  # rounding can pass a bound by 1e-9
    half = NORMAL_95 * stderr
    return {
        "measure": configured.label,
        "value": value,
        "stderr": stderr,
        "ci_low": float(np.clip(value - half, low, high)),
        "ci_high": float(np.clip(value + half, low, high)),
        "chance": float(np.mean(chance)) if chance else float("nan"),
        **({} if n is None else {"n": n}),
    }
