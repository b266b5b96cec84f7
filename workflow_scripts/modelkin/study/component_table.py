"""A user's table of components, as a CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from modelkin.errors import ModelkinError, unknown_name
from modelkin.store import disk

LARGEST = 1e8  # bytes of a table
LONGEST = 200  # characters of a cell, which figures write out


def read_component_table(
    path: str | Path, models: Sequence[str], active: Sequence[str]
) -> list[dict[str, str]]:
    """A user's table of components: a CSV with a column ``model`` and one for each component.

    models: all that may stand there; active: those that must. Returns a row for each active model, in their
    order; cells may be empty. Raises ModelkinError if the file cannot be read, lacks a model, names one
    twice, or names one that is not of the study.
    """
    disk.check_file(path, "the table of components", LARGEST)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            columns, *rows = csv.reader(file, strict=True)
    except OSError as error:
        raise ModelkinError(f"components: {path} cannot be read: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise ModelkinError(f"components: {path} is not a CSV with a line of names: {error}.") from None
    if "model" not in columns or len(columns) < 2 or len(set(columns)) < len(columns):
        raise ModelkinError(
            f"components: {path} needs a column 'model' and one for each component, all of different names."
        )
    found: dict[str, dict[str, str]] = {}
    for line, row in enumerate([columns, *rows], start=1):
        if (longest := max(map(len, row), default=0)) > LONGEST:
            raise ModelkinError(
                f"components: line {line} of {path} has a cell of {longest} characters, and {LONGEST} at "
                "most can be drawn; shorten it."
            )
    for line, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise ModelkinError(
                f"components: line {line} of {path} has {len(row)} cells; its columns are {len(columns)}."
            )
        cells = dict(zip(columns, map(str.strip, row), strict=True))
        if cells["model"] in found:
            raise ModelkinError(f"components: {path} has more than one row for model '{cells['model']}'.")
        if cells["model"] not in models:
            raise unknown_name(f"model in {path}", cells["model"], models)
        found[cells["model"]] = cells
    for name in active:
        if name not in found:
            raise ModelkinError(
                f"components: {path} has no row for model '{name}'; add one, with empty cells for what is "
                "to be read off its network."
            )
    return [found[name] for name in active]
