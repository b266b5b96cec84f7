"""The measures. A module here is a measure: its name is what the config calls it.

A new one is a module with a ``MEASURE``; nothing else knows about it. The modules load torch
lazily, so the workflow can read their versions and settings without waiting for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from modelkin import probe_kinds, registry
from modelkin.comparison.measures.base import (
    BOUNDARIES,
    ConfiguredMeasure,
    Described,
    Estimate,
    Measure,
    of_one_type,
)
from modelkin.store import paths

__all__ = [
    "BOUNDARIES",
    "Described",
    "Estimate",
    "Measure",
    "ConfiguredMeasure",
    "about",
    "compare",
    "get",
    "imported",
    "names",
    "parts",
    "rests_on",
]


IMPORTED = "imported_"  # how labels of what others measured begin


def names() -> list[str]:
    """The names of all measures, sorted."""
    return registry.names(sys.modules[__name__])


def get(name: str) -> Measure:
    """The measure of that name; ModelkinError with the nearest valid name if there is none."""
    return registry.load_choice(sys.modules[__name__], name, "measure").MEASURE


def imported_label(direction: str, name: str) -> str:
    """The label of a table of similarities or distances that somebody else made."""
    return f"{IMPORTED}{direction}.{name}"


def describe_label(label: str) -> Described:
    """What is to be said of the measure of a label, be it one of the registry's or an imported table."""
    if not label.startswith(IMPORTED):
        return get(ConfiguredMeasure.of(label).name)
    direction, _, name = label.removeprefix(IMPORTED).partition(".")
    return Described(
        title=f"{name}, imported",
        source="a file of the config",
        takes="a table",
        probes=(probe_kinds.IMPORTED,),
        bounds=(-math.inf, math.inf),
        direction=direction,
        symmetric=False,
        chance=False,
    )


def settings_by_measure(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each measure's part of a shell, by the measure's label.

    settings: of the shell, with ``measures`` a list of label, name, settings and version. A part knows of no
    other measure, so that adding one leaves it as it is.
    """
    shared = {key: settings[key] for key in ("permutations", "seed", "dataset")}
    return {item["label"]: {**shared, "measure": item} for item in settings["measures"]}


def takes_artifact(name: str, manifest: str) -> bool:
    """Whether a measure is taken of this artifact of a study: of boundaries or else of activations."""
    return paths.is_boundaries(manifest) == (get(name).takes in BOUNDARIES)


def compare(name: str, a, b, **settings) -> Estimate:
    """One measure on two arrays whose rows are the same samples.

    a, b: arrays or tensors (n, p) and (n, q); what they hold is the measure's ``takes``:
    representations, logits or saliency maps. Returns the value and its standard error.

    >>> import numpy as np
    >>> a = np.random.default_rng(0).normal(size=(50, 8))
    >>> compare("linear_cka", a, 3 * a[:, ::-1] + 1).value.__round__(6)
    1.0
    """
    measure = get(name)
    a, b = of_one_type(a, b)
    return measure.compare(measure.prepare(a, **settings), measure.prepare(b, **settings))
