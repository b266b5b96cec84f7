"""A table that people read: one HTML page whose rows are sorted by a click, and the same rows as CSV.

It knows frames of text and numbers, and neither studies nor what any column means.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from modelkin import lazy

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = lazy.module("pandas")

# Style and script stand in the page; it may ask nobody for anything.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
# What a spreadsheet would take for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class TablePage:
    """A table and what is said of it.

    text: cells as they are read, a column each; a cell may have several lines. headings: by column, what
    stands above it. values: by column, the numbers by which its texts are sorted. rows: what the CSV holds,
    if not the texts with those numbers in their place. note: below the table, a paragraph a line.
    """

    title: str
    text: pd.DataFrame
    headings: Mapping[str, str]
    values: Mapping[str, Collection[Any]] = field(default_factory=dict)
    rows: pd.DataFrame | None = None
    note: str = ""

    def csv(self) -> str:
        """The rows with full numbers in place of rounded ones."""
        rows = self.rows
        if rows is None:
            rows = self.text.assign(**{name: list(values) for name, values in self.values.items()})
        return rows.map(_no_formula).rename(columns=_no_formula).to_csv(index=False)

    def page(self, name: str, above: str = "") -> str:
        """The text of the page, the same for the same table; the CSV in it is saved as ``name``.csv."""
        here = resources.files("modelkin.figures") / "assets"
        read = {suffix: (here / f"table.{suffix}").read_text("utf-8") for suffix in ("html", "css", "js")}
        return Template(read["html"]).substitute(
            policy=POLICY,
            style=read["css"],
            script=read["js"],
            title=html.escape(self.title),
            # Without rows there is only the note, which says why.
            kind="table" if len(self.text) else "words",
            above=f'<p class="above">{html.escape(above)}</p>' if above else "",
            head="".join(self._heading(column) for column in self.text),
            body="\n".join(self._row(row) for row in range(len(self.text))),
            note="".join(f"<p>{html.escape(line)}</p>" for line in self.note.split("\n") if line),
            name=html.escape(f"{name}.csv"),
            csv=base64.b64encode(self.csv().encode()).decode(),
        )

    def save(self, folder: Path, stem: str, above: str = "") -> None:
        """Write the page into a folder, and the CSV if there are rows."""
        (folder / f"{stem}.html").write_text(self.page(stem, above), encoding="utf-8")
        if len(self.text):
            (folder / f"{stem}.csv").write_text(self.csv(), encoding="utf-8")

    def _heading(self, column: str) -> str:
        number = ' class="number"' if column in self.values else ""
        button = f'<button type="button">{html.escape(self.headings[column])}</button>'
        return f'<th{number} scope="col">{button}</th>'

    def _row(self, row: int) -> str:
        return "<tr>" + "".join(self._cell(column, row) for column in self.text) + "</tr>"

    def _cell(self, column: str, row: int) -> str:
        shown = html.escape(str(self.text[column].iloc[row]))
        if column not in self.values:
            return f"<td>{shown}</td>"
        value = list(self.values[column])[row]
        # What has no value is behind all others, whichever way they are sorted.
        known = "" if pd.isna(value) else html.escape(str(value))
        return f'<td class="number" data-value="{known}">{shown}</td>'


def _no_formula(cell: Any) -> Any:
    """A text that a spreadsheet would run is kept from being one."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
