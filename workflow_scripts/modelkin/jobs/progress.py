"""How far long work is."""

from __future__ import annotations

import time

from modelkin.jobs.running import LOG


class Progress:
    """How far long work is, on the terminal and in the log, at most every few seconds."""

    def __init__(self, total: int, unit: str, every: float = 5.0):
        self.total, self.unit, self.every = total, unit, every
        self.started = self.told = time.monotonic()

    def __call__(self, done: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self.told < self.every:
            return
        self.told = now
        left = (now - self.started) * (self.total / done - 1) if done else float("nan")
        text = f"{done:.0f} of {self.total} {self.unit}, about {left:.0f} s left{note and f', {note}'}"
        LOG.info("%s", text, extra={"progress": True})
