"""Write docs/measures.md's table from the measures' records and docstrings.

python docs/write_measures.py
"""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measures.md"
BEGIN, END = (
    "<!-- written by write_measures.py: begin -->\n",
    "<!-- written by write_measures.py: end -->\n",
)
COLUMNS = ("measure", "what it says", "takes", "probes", "values", "nothing in common", "unchanged by")
COLUMNS += ("settings", "source")


def table() -> str:
    """A row for each measure, in Markdown."""
    from modelkin.comparison import measures

    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for name in measures.names():
        measure = measures.get(name)
        module = importlib.import_module(f"modelkin.comparison.measures.{name}")
        low, high = (_number(bound) for bound in measure.bounds)
        rows.append(
            (
                f"`{name}`",
                module.__doc__.split("\n")[0].rstrip("."),
                measure.takes,
                ", ".join(measure.probes),
                f"{measure.direction}, {low} to {high}" + (f" {measure.unit}" if measure.unit != "1" else ""),
                measure.unrelated,
                ", ".join(what.replace("_", " ") for what in measure.invariances),
                ", ".join(f"`{key}` ({value})" for key, value in measure.settings.items()),
                measure.source,
            )
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(bound: float) -> str:
    return "no bound" if math.isinf(bound) else f"{bound:.3g}"


def written_page() -> str:
    """The page with its table as the measures are now."""
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "workflow_scripts"))
    PAGE.write_text(written_page(), "utf-8")
