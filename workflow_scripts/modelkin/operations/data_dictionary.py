"""The data dictionary: what every column of the tables means, and every measure in them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from modelkin.comparison import measures
from modelkin.operations.stages import STAGES

HEAD = """# Tables of the study '{study}'

Every table is a parquet file; the `.json` beside it says what it was made of.

```python
import pandas as pd
similarity = pd.read_parquet("similarity.parquet").merge(pd.read_parquet("measures.parquet"), on="measure")
print(similarity.query("model_a != model_b").groupby(["kind", "measure", "direction"])["value"].mean())
```

On natural and adversarial probes each pair of models is one row. On inverted probes each direction is
one, with images made for model_a. A symmetric measure has the same value in either order on one probe.

## Measures"""
# (unit, meaning) of each column of each table.
COLUMNS = {table.name: table.columns for stage in STAGES for table in stage.tables}


def dictionary_columns(tables: Iterable[str]) -> pd.DataFrame:
    """A row for each column of these tables: table, column, unit, meaning."""
    return pd.DataFrame(
        [
            {"table": table, "column": column, "unit": unit, "meaning": meaning}
            for table in tables
            for column, (unit, meaning) in COLUMNS[table].items()
        ]
    )


def dictionary_measures(labels: Iterable[str]) -> pd.DataFrame:
    """A row for each measure of a study, by its label."""
    rows = []
    for label in labels:
        measure = measures.describe_label(label)
        low, high = measure.bounds
        rows.append(
            {
                "measure": label,
                "title": measure.title,
                "direction": measure.direction,
                "symmetric": measure.symmetric,
                "unit": measure.unit,
                "low": low,
                "high": high,
                "needs": measure.takes,
                "kinds": ", ".join(measure.probes),
                "chance": measure.chance,
                "source": measure.source,
            }
        )
    return pd.DataFrame(rows)


def dictionary_page(study: str, described: pd.DataFrame, chosen: pd.DataFrame) -> str:
    """The dictionary to be read by people, in Markdown.

    described: of :func:`dictionary_columns`; chosen: of :func:`dictionary_measures`.
    """
    lines = [*HEAD.format(study=study).splitlines(), "", *_table(chosen)]
    for table, rows in described.groupby("table", sort=False):
        lines += ["", f"## {table}", "", *_table(rows.drop(columns="table"))]
    return "\n".join(lines) + "\n"


def _table(frame: pd.DataFrame) -> list[str]:
    """The lines of a Markdown table."""
    rows = [list(frame.columns), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    escaped = ([value.replace("|", "\\|") for value in row] for row in rows)
    return [f"| {' | '.join(row)} |" for row in escaped]
