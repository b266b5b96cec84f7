"""A table of similarities or distances that somebody else made, as one more measure of a study.

It knows the file, a labelled square CSV, and nothing of how its values came about.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelkin import lazy
from modelkin.errors import ModelkinError
from modelkin.store import disk

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = lazy.module("pandas")


LARGEST = 1e8  # bytes of a table
SYMMETRIC = 1e-6  # share of the largest value by which the two directions may differ and be one


def read_imported(path: str | Path, models: Sequence[str]) -> list[list[float]]:
    """The values (M, M) for these models, in their order; row: first model, column: second.

    The file's first row and first column name its models, in any order; it may hold more of them. Raises
    ModelkinError if it cannot be read, is not square, lacks one of the models, or holds what is no finite
    number.
    """
    disk.check_file(path, "the imported table", LARGEST)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            (_, *columns), *rows = [row for row in csv.reader(file, strict=True) if row]
    except OSError as error:
        raise ModelkinError(f"imported: {path} cannot be read: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise ModelkinError(f"imported: {path} is not a CSV with a row of names: {error}.") from None
    cells = {name.strip(): values for name, *values in rows}
    columns = [name.strip() for name in columns]
    _check_square(path, columns, [row[0].strip() for row in rows], cells)
    for name in models:
        if name not in cells:
            raise ModelkinError(
                f"imported: {path} has no row for model '{name}'; its names must be those of the config."
            )
    places = [columns.index(name) for name in models]
    return [[_number(path, name, columns[i], cells[name][i]) for i in places] for name in models]


def _check_square(path, columns: list[str], names: list[str], cells: dict[str, list[str]]) -> None:
    for where in (columns, names):
        if len(set(where)) < len(where):
            raise ModelkinError(f"imported: {path} names a model more than once.")
    if set(columns) != set(names):
        odd = sorted(set(columns) ^ set(names))[0]
        raise ModelkinError(f"imported: {path} is not square: '{odd}' is only a row or only a column.")
    for name, values in cells.items():
        if len(values) != len(columns):
            raise ModelkinError(
                f"imported: the row of '{name}' in {path} has {len(values)} values for {len(columns)} models."
            )


def _number(path, row: str, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ModelkinError(
            f"imported: {path} has '{text.strip()}' for '{row}' and '{column}', which is no finite number."
        )
    return value


def imported_digest(path: str | Path) -> str:
    """sha256 of the file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def imported_table(
    values: Sequence[Sequence[float]], models: Sequence[str], measure: str, source: str
) -> pd.DataFrame:
    """Rows of the similarity table, of kind 'imported': one for each pair, or for each direction if they
    differ. What is not known of them (standard errors, chance) is NaN, and n is 0.

    measure: its label; source: what the table's column of that name says.
    """
    largest = max(abs(value) for row in values for value in row)
    rows = []
    for (i, a), (j, b) in itertools.product(enumerate(models), repeat=2):
        same = abs(values[i][j] - values[j][i]) <= SYMMETRIC * largest
        if i <= j or not same:
            rows.append({"model_a": a, "model_b": b, "value": values[i][j]})
    unknown = dict.fromkeys(("stderr", "ci_low", "ci_high", "chance"), math.nan)
    return pd.DataFrame(rows).assign(kind="imported", source=source, measure=measure, n=0, **unknown)
