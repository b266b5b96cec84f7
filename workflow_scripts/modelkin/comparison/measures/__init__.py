"""The measures. A module here is a measure: its name is what the config calls it.

A new one is a module with a ``MEASURE``; nothing else knows about it. The modules load torch
lazily, so the workflow can read their versions and settings without waiting for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike

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
    """List the names of all measures, sorted.

    Returns
    -------
    list of str
    """
    return registry.names(sys.modules[__name__])


def get(name: str) -> Measure:
    """Look up a measure by its name.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    Measure
        Its two halves, ``prepare`` and ``compare``, and what is known of it (bounds, direction, source).

    Raises
    ------
    ModelkinError
        If there is none of that name; the sentence has the nearest one.
    """
    return registry.load_choice(sys.modules[__name__], name, "measure").MEASURE


def imported_label(direction: str, name: str) -> str:
    """Make the label of a table of similarities or distances that somebody else measured.

    Parameters
    ----------
    direction : {"similarity", "distance"}
    name : str
        As the config calls the table.

    Returns
    -------
    str
    """
    return f"{IMPORTED}{direction}.{name}"


def describe_label(label: str) -> Described:
    """Describe the measure that a label in a table stands for.

    Parameters
    ----------
    label : str
        Of a measure with its settings (``knn_jaccard-k20``), or of an imported table.

    Returns
    -------
    Described
        Title, source, bounds, direction and unit.
    """
    if not label.startswith(IMPORTED):
        return get(ConfiguredMeasure.of(label).name)
    direction, _, name = label.removeprefix(IMPORTED).partition(".")
    return Described(
        title=f"{name}, imported",
        definition="what the imported table says",
        unrelated="unknown",
        source="a file of the config",
        takes="a table",
        probes=(probe_kinds.IMPORTED,),
        bounds=(-math.inf, math.inf),
        direction=direction,
        symmetric=False,
        chance=False,
    )


def settings_by_measure(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Split the settings of a similarity shell by measure.

    So adding a measure leaves the others as they are.

    Parameters
    ----------
    settings : mapping
        Of the shell, with ``measures`` a list of label, name, settings and version.

    Returns
    -------
    dict
        The settings of each measure's part, by the measure's label.
    """
    keys = ("permutations", "seed", "dataset", "products")
    shared = {key: settings[key] for key in keys if key in settings}
    return {item["label"]: {**shared, "measure": item} for item in settings["measures"]}


def takes_artifact(name: str, manifest: str) -> bool:
    """Tell whether a measure is taken of an artifact of a study: of boundaries, or else of activations.

    Of the activations on the images of an attack with a label only if it is measured there, so that another
    attack leaves all other measures as they are.

    Parameters
    ----------
    name : str
        Of the measure.
    manifest : str
        Path of the artifact's manifest.

    Returns
    -------
    bool
    """
    measure = get(name)
    if paths.is_boundaries(manifest) or measure.takes in BOUNDARIES:
        return paths.is_boundaries(manifest) and measure.takes in BOUNDARIES
    kind = paths.kind_of(manifest)
    return probe_kinds.attack_of(kind) is None or measure.measurable(kind)


def compare(name: str, a: ArrayLike | torch.Tensor, b: ArrayLike | torch.Tensor, **settings: int) -> Estimate:
    """Compare two models' arrays by one measure.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    a, b : array_like or Tensor of shape (n, p) and (n, q)
        Rows are the same samples in the same order, on any device. What they hold is the measure's ``takes``:
        representations, logits, saliency maps (n, c, h, w), outcomes of attacks, or values of boundaries.
    **settings : int
        The measure's own, such as ``k`` of ``knn_jaccard``.

    Returns
    -------
    Estimate
        The value and its standard error over samples.

    Raises
    ------
    ModelkinError
        If there is no such measure, or the arrays differ in samples, hold NaN or are constant.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.random.default_rng(0).normal(size=(50, 8))
    >>> compare("linear_cka", a, 3 * a[:, ::-1] + 1).value.__round__(6)
    1.0
    """
    measure = get(name)
    first, second = of_one_type(a, b)
    return measure.compare(measure.prepare(first, **settings), measure.prepare(second, **settings))
