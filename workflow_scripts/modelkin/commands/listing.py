"""What a config can name, with a line on each, and a search in it. Nothing heavy is imported for it."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from modelkin import registry
from modelkin.comparison import measures
from modelkin.data import datasets
from modelkin.networks import architectures, sources
from modelkin.optimise import attacks, threats

MANY = 40  # rows of one group that are shown without a search


class Row(NamedTuple):
    """Something that a config can name: of what group, its name, and what it is."""

    group: str
    name: str
    about: str = ""


def models() -> list[Row]:
    """The architectures to train, then those of each library by its source."""
    rows = [Row("source: train", name, about) for name, about in registry.descriptions(architectures).items()]
    for source, about in registry.descriptions(sources).items():
        names = sources.known_names(source)
        rows += [Row(f"source: {source}", name) for name in names]
        if not names:
            lacking = sources.missing(source, architecture="", name="")
            rows.append(Row(f"source: {source}", "", lacking[0] if lacking else about))
    return rows


def measures_() -> list[Row]:
    """The measures."""
    return [Row("measures", name, about) for name, about in registry.descriptions(measures).items()]


def datasets_() -> list[Row]:
    """The datasets by the module that reads them, torchvision's by name."""
    rows = [
        Row("dataset: {name: ...}", name, about) for name, about in registry.descriptions(datasets).items()
    ]
    from modelkin.data.datasets import torchvision

    for name, about in torchvision.ABOUT.items():
        size = f"{about.size} x {about.size} pixels" if about.size else "of several sizes"
        said = f"{about.images[1]:,} test images, {about.classes} classes, {size}"
        rows.append(Row("dataset: {name: torchvision, dataset: ...}", name, said))
    return rows


def attacks_() -> list[Row]:
    """The attacks, and the threats under which they are."""
    return [
        *(Row("attack", name, about) for name, about in registry.descriptions(attacks).items()),
        *(Row("norm or threat", name, about) for name, about in registry.descriptions(threats).items()),
    ]


LISTS = {"models": models, "measures": measures_, "datasets": datasets_, "attacks": attacks_}


def listed(what: str, words: Sequence[str] = ()) -> str:
    """The list of that name as text: rows with all the words in their group, name or line."""
    rows = [
        row for row in LISTS[what]() if all(word.casefold() in " ".join(row).casefold() for word in words)
    ]
    if not rows:
        return f"Nothing among the {what} has {' and '.join(map(repr, words))}."
    return "\n\n".join(
        _group(group, [row for row in rows if row.group == group], what, bool(words))
        for group in dict.fromkeys(row.group for row in rows)
    )


def _group(group: str, rows: Sequence[Row], what: str, searched: bool) -> str:
    lines = [group]
    if all(not row.about for row in rows):
        shown = rows if searched else rows[:MANY]
        lines += _columns(row.name for row in shown)
        if len(shown) < len(rows):
            lines.append(f"  ... and {len(rows) - len(shown)} more: `modelkin {what} WORD` searches them.")
        return "\n".join(lines)
    width = max(len(row.name) for row in rows) + 2
    for row in rows:
        if row.name:
            lines.append(f"  {row.name:<{width}}{row.about}")
        else:
            lines += textwrap.wrap(row.about, _terminal(), initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def _columns(names: Iterable[str]) -> list[str]:
    """Names side by side, as many as fit into a line."""
    every = list(names)
    width = max(map(len, every)) + 2
    each = max(1, _terminal() // width)
    return [
        "  " + "".join(f"{name:<{width}}" for name in every[start : start + each]).rstrip()
        for start in range(0, len(every), each)
    ]


def _terminal() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 120) - 2
