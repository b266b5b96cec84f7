"""The kinds of probe: how their images were made, and of which dataset or by which attack.

'natural', 'inverted' and 'adversarial' are of the study's own dataset. After a colon stands a label: in
'natural:svhn' and 'inverted:svhn' that of another dataset, in 'adversarial:linf' that of one of several
attacks. No other module takes kinds apart. Imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

ORIGINS = ("natural", "inverted", "adversarial")
IMPORTED = "imported"  # of a measure's values that somebody else made
ONE_VALUE_PER_PAIR = (
    "natural",
    "adversarial",
)  # kinds on which a pair has one value, not one for each direction


def kind_of(made: str, label: str | None = None) -> str:
    """The kind of images so made, of the other dataset or by the attack of that label if there is one."""
    return f"{made}:{label}" if label else made


def all_kinds(others: Iterable[str] = (), adversarial: Iterable[str] = ()) -> list[str]:
    """All kinds of a study, those of its own dataset first.

    others: labels of its other datasets; adversarial: its adversarial kinds.
    """
    natural_and_inverted = ORIGINS[:2]
    of_others = (kind_of(made, other) for other in others for made in natural_and_inverted)
    return [*natural_and_inverted, *adversarial, *of_others]


def origin_of(kind: str) -> str:
    """How the images of a kind were made: 'natural', 'inverted' or 'adversarial'."""
    return kind.partition(":")[0]


def is_adversarial(kind: str) -> bool:
    """Whether the images of a kind were made by an attack."""
    return origin_of(kind) == "adversarial"


def other_dataset_of(kind: str) -> str | None:
    """The label of the other dataset that a kind is of, None for the study's own."""
    return None if is_adversarial(kind) else _label_of(kind)


def attack_of(kind: str) -> str | None:
    """The label of the attack that made the images, None for a study's only attack and for other kinds."""
    return _label_of(kind) if is_adversarial(kind) else None


def _label_of(kind: str) -> str | None:
    return kind.partition(":")[2] or None


def in_words(kind: str) -> str:
    """A kind as it is written in figures: 'adversarial (linf)' for 'adversarial:linf'."""
    attack = attack_of(kind)
    return f"adversarial ({attack})" if attack else kind


def folder_of(kind: str) -> str:
    """A kind as it stands in paths, where colons are better avoided."""
    return kind.replace(":", ".")


def kind_of_folder(folder: str) -> str:
    """The inverse of :func:`folder_of`; labels may hold dots themselves."""
    return kind_of(*folder.split(".", 1))
