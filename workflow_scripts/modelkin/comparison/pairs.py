"""The pairs of models that a new model completes, and the runs that each pair compares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from modelkin import probe_kinds
from modelkin.errors import ModelkinError


class Run(NamedTuple):
    """A run of a model on a probe: which images (kind and source) and which model saw them (observer).

    source: the model that the images were made for; of natural images any name, which says nothing.
    """

    kind: str
    source: str
    observer: str


class Pair(NamedTuple):
    """Two models on one probe; source is a model for inverted probes, a dataset for natural ones."""

    kind: str
    source: str
    model_a: str
    model_b: str


def completed_pairs(
    model: str, earlier: Sequence[str], dataset: str, among: Sequence[str] = ("natural", "inverted")
) -> Iterator[Pair]:
    """Every pair that ``model`` completes, itself included; on inverted probes a is the source.

    dataset: the name of the study's own; among: the kinds of probe. Pairs that share activations follow each
    other. On adversarial probes each model of a pair sees the other's images.
    """
    for kind in among:
        if probe_kinds.origin_of(kind) in probe_kinds.ONE_VALUE_PER_PAIR:
            for other in (*earlier, model):
                yield Pair(kind, probe_kinds.other_dataset_of(kind) or dataset, other, model)
            continue
        for other in (*earlier, model):
            yield Pair(kind, model, model, other)
        for other in earlier:
            yield Pair(kind, other, other, model)


def runs_of(pair: Pair) -> tuple[Run, Run]:
    """What model_a and model_b computed for this pair."""
    a, b = pair.model_a, pair.model_b
    if probe_kinds.origin_of(pair.kind) == "adversarial":
        return Run(pair.kind, b, a), Run(pair.kind, a, b)
    return Run(pair.kind, pair.source, a), Run(pair.kind, pair.source, b)


def check_same_samples(ids_a: np.ndarray, ids_b: np.ndarray, pair: Pair) -> int:
    """The number of samples; ModelkinError unless both are the same ones in the same order."""
    if len(ids_a) == len(ids_b) and (ids_a == ids_b).all():
        return len(ids_a)
    raise ModelkinError(
        f"activations of '{pair.model_a}' and '{pair.model_b}' on the {pair.kind} probe of '{pair.source}' "
        f"are of different samples ({len(ids_a)} and {len(ids_b)}); delete their manifests and run again."
    )
