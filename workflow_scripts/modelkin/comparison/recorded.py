"""What models computed on probes, read from where a study keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from modelkin import probe_kinds
from modelkin.comparison.measures import BOUNDARIES
from modelkin.comparison.pairs import Run
from modelkin.errors import ModelkinError
from modelkin.store import arrays, manifests, paths


class Recorded:
    """What the models of a study computed on its probes, read when it is asked for.

    Parameters
    ----------
    folder : path
        The study's results (``results/<study>``).
    order : sequence of str
        All its models in order of arrival, retired ones too, for that decides which shell holds a run.
    """

    def __init__(self, folder: str | Path, order: Sequence[str]):
        self._folder, self._order = Path(folder), list(order)

    def __call__(self, run: Run, what: str) -> xr.DataArray:
        """Read one thing that a run computed, with its sample ids.

        what: representation (n, p), logits (n, C), label (n,), saliency (n, c, h, w); outcomes (n, 2) of an
        adversarial probe (see :func:`outcomes`); regions (planes, points) or distances (n, 2) of the
        observer's boundaries. Raises ModelkinError if it is not there or damaged.
        """
        if what == "outcomes":
            clean, attacked = (self._opened(each, "logits") for each in (run._replace(kind="natural"), run))
            return outcomes(clean, attacked)
        return self._opened(run, what)[what]

    def _opened(self, run: Run, what: str) -> xr.Dataset:
        if what in BOUNDARIES:
            manifest, group = paths.boundaries(run.observer), what
        else:
            manifest, group = stored_at(run, self._order)
            group = "saliency" if what == "saliency" else group
        return arrays.open_dataset(manifests.store_of(self._folder / manifest), group)


def transfer(
    read: Callable[[Run, str], xr.DataArray], names: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], np.ndarray]]:
    """How attacks transfer between models.

    Returns right (n,) of each model on the natural probe, and fooled (n,) for each (source, observer):
    whether the observer is wrong on the source's adversarial images. read: a :class:`Recorded`.
    """
    right, fooled = {}, {}
    for observer in names:
        for source in names:
            values = read(Run("adversarial", source, observer), "outcomes").to_numpy().astype(bool)
            right[observer], fooled[source, observer] = values.T
    return right, fooled


def outcomes(clean: xr.Dataset, attacked: xr.Dataset) -> xr.DataArray:
    """(n, 2): whether a model is right on each image, and wrong on an adversarial image made of it.

    clean, attacked: what it computed on both, of the same samples. Raises ModelkinError if they differ.
    """
    if clean["sample"].to_numpy().tolist() != attacked["sample"].to_numpy().tolist():
        raise ModelkinError("the adversarial probe is of other images than the natural one; make both again.")
    label = clean["label"].to_numpy()
    right, named = (data["logits"].to_numpy().argmax(1) for data in (clean, attacked))
    values = np.stack([right == label, named != label], axis=1).astype(np.float32)
    return xr.DataArray(values, dims=("sample", "outcome"), coords={"sample": clean["sample"]})


def shell_runs(kind: str, order: Sequence[str]) -> Iterator[Run]:
    """Every run that the last model of ``order`` completes on probes that each model has its own of."""
    newest = order[-1]
    yield from (Run(kind, newest, observer) for observer in order)
    yield from (Run(kind, source, newest) for source in order[:-1])


def stored_at(run: Run, order: Sequence[str]) -> tuple[str, str | None]:
    """The manifest, below the study's folder, and the group of the store that hold a run's activations.

    The shell of the later of the two models holds them: ``by/<observer>`` on the shell's own probe,
    ``on/<source>`` of the shell's own model.
    """
    if probe_kinds.origin_of(run.kind) == "natural":
        return paths.activations(run.kind, run.observer), None
    if order.index(run.observer) <= order.index(run.source):
        return paths.activations(run.kind, run.source), f"by/{run.observer}"
    return paths.activations(run.kind, run.observer), f"on/{run.source}"
