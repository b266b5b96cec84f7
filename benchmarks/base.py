"""What all benchmarks share: a row of the table, and timing two things in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table. ratio: as ``unit`` says; target: what it should reach, None for none.

    checked: how the results were found to be equal. limit: what stops it, where the target is missed.
    """

    what: str
    against: str
    ratio: float
    target: float | None = None
    unit: str = "x as fast"
    checked: str = ""
    limit: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.ratio >= self.target if self.unit == "x as fast" else self.ratio <= self.target


def in_turn(
    first: Callable[[], object], second: Callable[[], object], repeats: int = 5
) -> tuple[float, float]:
    """Median seconds of each, run alternately after one unmeasured run of both."""
    first(), second()
    times = ([], [])
    for _ in range(repeats):
        for call, kept in zip((first, second), times, strict=True):
            start = time.perf_counter()
            call()
            kept.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Median seconds after one unmeasured run."""
    return in_turn(call, lambda: None, repeats)[0]
