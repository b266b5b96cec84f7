"""The pairs that a new model completes, and the rows of the similarity table they give.

It knows measures only through their interface, and nothing of where activations are kept.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr

from modelkin import kinds, measures, seeds
from modelkin.errors import ModelkinError, Undefined
from modelkin.measures import Measured

NORMAL_95 = 1.959964
FEW = 30  # samples below which normal intervals say little


class Pair(NamedTuple):
    """Two models on one probe; source is a model for inverted probes, a dataset for natural ones."""

    kind: str
    source: str
    model_a: str
    model_b: str


# (kind, source, observer, what): the named activations, with a sample coordinate.
Read = Callable[[str, str, str, str], xr.DataArray]


def pairs(
    model: str, earlier: Sequence[str], dataset: str, among: Sequence[str] = ("natural", "inverted")
) -> Iterator[Pair]:
    """Every pair that ``model`` completes, itself included; on inverted probes a is the source.

    dataset: the name of the study's own; among: the kinds of probe. Pairs that share activations follow each
    other. On adversarial probes each model of a pair sees the other's images.
    """
    for kind in among:
        if kinds.drawn(kind) in kinds.PAIRED:
            for other in (*earlier, model):
                yield Pair(kind, kinds.other(kind) or dataset, other, model)
            continue
        for other in (*earlier, model):
            yield Pair(kind, model, model, other)
        for other in earlier:
            yield Pair(kind, other, other, model)


def rows(
    wanted: Sequence[Pair],
    read: Read,
    chosen: Sequence[Measured],
    *,
    permutations: int,
    seed: int,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """One row for each pair and measure.

    read(kind, source, observer, what): what a model computed on a probe, 'representation', 'logits',
    'saliency' or 'outcomes'. Columns: kind, source, model_a, model_b, measure, value, stderr, ci_low,
    ci_high (95 %), chance (mean over seeded permutations of b's samples, NaN where that says nothing),
    n (samples). A pair for which a measure is undefined has NaN and n = 0.
    """

    @functools.lru_cache(maxsize=3)
    def observed(kind: str, source: str, observer: str) -> _Observed:
        return _Observed(functools.partial(read, kind, source, observer), device)

    table = []
    for done, pair in enumerate(wanted):
        if progress is not None:
            progress(done)
        a, b = (observed(*run) for run in _runs(pair))
        for measured in chosen:
            measure = measures.get(measured.name)
            if not measure.measurable(pair.kind):
                continue
            n = same_samples(a.samples(measure.needs), b.samples(measure.needs), pair)
            rng = seeds.generator(seed, "chance", *pair)
            orders = [torch.from_numpy(rng.permutation(n)).to(device) for _ in range(permutations)]
            table.append({**pair._asdict(), "n": n, **_measure(measured, a, b, pair, orders)})
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


def _runs(pair: Pair) -> list[tuple[str, str, str]]:
    """(kind, source, observer) of what model_a and model_b computed for this pair."""
    a, b = pair.model_a, pair.model_b
    if kinds.drawn(pair.kind) == "adversarial":
        return [(pair.kind, b, a), (pair.kind, a, b)]
    return [(pair.kind, pair.source, a), (pair.kind, pair.source, b)]


def same_samples(ids_a: np.ndarray, ids_b: np.ndarray, pair: Pair) -> int:
    """The number of samples; ModelkinError unless both are the same ones in the same order."""
    if len(ids_a) == len(ids_b) and (ids_a == ids_b).all():
        return len(ids_a)
    raise ModelkinError(
        f"activations of '{pair.model_a}' and '{pair.model_b}' on the {pair.kind} probe of '{pair.source}' "
        f"are of different samples ({len(ids_a)} and {len(ids_b)}); delete their manifests and run again."
    )


class _Observed:
    """One model's activations on one probe, and what each measure has prepared of them."""

    def __init__(self, read: Callable[[str], xr.DataArray], device: torch.device | str):
        self._read, self._device = functools.cache(read), device
        self._parts: dict[str, dict] = {}

    def samples(self, what: str) -> np.ndarray:
        return self._read(what)["sample"].to_numpy()

    def part(self, measured: Measured) -> dict:
        if measured.label not in self._parts:
            measure = measures.get(measured.name)
            values = torch.from_numpy(self._read(measure.needs).values).to(self._device)
            self._parts[measured.label] = measure.prepare(values, **measured.settings)
        return self._parts[measured.label]


def _measure(measured: Measured, a: _Observed, b: _Observed, pair: Pair, orders: list) -> dict[str, object]:
    measure = measures.get(measured.name)
    try:
        value, stderr, n = measure.compare(a.part(measured), b.part(measured))
        shuffled = (measure.permuted(b.part(measured), order) for order in orders if measure.chance)
        chance = [measure.compare(a.part(measured), part).value for part in shuffled]
    except Undefined:
        value, stderr, n, chance = math.nan, math.nan, 0, []
    except ModelkinError as error:
        where = f"'{pair.model_a}' and '{pair.model_b}' on the {pair.kind} probe of '{pair.source}'"
        raise ModelkinError(f"{measured.label} of {where}: {error}") from None
    low, high = measure.bounds
    value = float(np.clip(value, low, high))  # rounding can pass a bound by 1e-9
    half = NORMAL_95 * stderr
    return {
        "measure": measured.label,
        "value": value,
        "stderr": stderr,
        "ci_low": float(np.clip(value - half, low, high)),
        "ci_high": float(np.clip(value + half, low, high)),
        "chance": float(np.mean(chance)) if chance else float("nan"),
        **({} if n is None else {"n": n}),
    }
