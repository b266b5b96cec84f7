"""The kinds of probe: how their images were made, and of which dataset.

'natural' and 'inverted' are of the study's own dataset, 'natural:svhn' and 'inverted:svhn' of another
one that the config calls svhn. Imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

MADE = ("natural", "inverted")


def of(made: str, other: str | None = None) -> str:
    """The kind of images so made, of the study's own dataset or of another."""
    return f"{made}:{other}" if other else made


def every(others: Iterable[str]) -> list[str]:
    """All kinds of a study with these other datasets, its own first."""
    return [of(made, other) for other in (None, *others) for made in MADE]


def drawn(kind: str) -> str:
    """How the images of a kind were made: 'natural' or 'inverted'."""
    return kind.split(":")[0]


def other(kind: str) -> str | None:
    """The other dataset of a kind, None for the study's own."""
    return kind.partition(":")[2] or None


def folder(kind: str) -> str:
    """A kind as it stands in paths, where colons are better avoided."""
    return kind.replace(":", ".")
