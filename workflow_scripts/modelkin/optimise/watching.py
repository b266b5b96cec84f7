"""A bar for whoever waits at a terminal or in a notebook; nothing for a job, which has a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from tqdm import tqdm

Progress = Callable[[int, int, float], None]


class Counted:
    """Tells of several descents, one after the other, with the evaluations of all so far.

    Parameters
    ----------
    progress : callable or None
        What is told; nothing if None.
    """

    def __init__(self, progress: Progress | None):
        self._progress = progress
        self._before = self._now = 0

    def __call__(self, done: int, evaluations: int, loss: float) -> None:
        self._now = evaluations
        if self._progress is not None:
            self._progress(done, self._before + evaluations, loss)

    def next(self) -> None:
        """Begin the next descent."""
        self._before, self._now = self._before + self._now, 0


def is_watched() -> bool:
    """Whether somebody sees what is written to stderr: at a terminal, or in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


@contextlib.contextmanager
def progress_bar(samples: int, what: str) -> Iterator[Progress | None]:
    """Show how many samples are finished, if somebody watches.

    Parameters
    ----------
    samples : int
        How many there are.
    what : str
        What is done to them, before the bar.

    Yields
    ------
    callable or None
        What a descent is to call at every step; None if nobody watches.
    """
    if not is_watched():
        yield None
        return
    with tqdm(total=samples, desc=what, unit="image") as bar:

        def show(done: int, evaluations: int, loss: float) -> None:
            bar.set_postfix(steps=evaluations, loss=f"{loss:.3f}", refresh=False)
            bar.update(done - bar.n)

        yield show
        bar.update(samples - bar.n)
