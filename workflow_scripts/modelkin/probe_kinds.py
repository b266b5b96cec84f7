"""The kinds of probe: how their images were made, and of which dataset.

'natural', 'inverted' and 'adversarial' are of the study's own dataset, 'natural:svhn' and 'inverted:svhn'
of another one that the config calls svhn. Imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

ORIGINS = ("natural", "inverted", "adversarial")
IMPORTED = "imported"  # of a measure's values that somebody else made
ONE_VALUE_PER_PAIR = (
    "natural",
    "adversarial",
)  # kinds on which a pair has one value, not one for each direction


def kind_of(made: str, other: str | None = None) -> str:
    """The kind of images so made, of the study's own dataset or of another."""
    return f"{made}:{other}" if other else made


def all_kinds(others: Iterable[str] = (), adversarial: bool = False) -> list[str]:
    """All kinds of a study with these other datasets, its own first."""
    own = ORIGINS if adversarial else ORIGINS[:2]
    return [*own, *(kind_of(made, other) for other in others for made in ORIGINS[:2])]


def origin_of(kind: str) -> str:
    """How the images of a kind were made: 'natural', 'inverted' or 'adversarial'."""
    return kind.split(":")[0]


def other_dataset_of(kind: str) -> str | None:
    """The other dataset of a kind, None for the study's own."""
    return kind.partition(":")[2] or None


def folder_of(kind: str) -> str:
    """A kind as it stands in paths, where colons are better avoided."""
    return kind.replace(":", ".")
