"""The data dictionary: what every column of the tables means, and every measure in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from modelkin.comparison import measures
from modelkin.operations.stages import STAGES
from modelkin.operations.stages.columns import KIND, NORMS, RESCUED

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
KIND_OF_ATTACKS = (KIND[0], f"{KIND[1]}; adversarial with the attack's label after a colon")
OF_ATTACK = ("attack_success", "attack_median_distance")  # columns of models, one for each label of an attack
OF_ATTACKED_IMAGES = ("sat_shortcut", "sat_shortcut_models")  # tables with a kind if attacks have labels
# (unit, meaning) of each column of each table.
COLUMNS = {table.name: table.columns for stage in STAGES for table in stage.tables}


def dictionary_columns(
    tables: Iterable[str],
    attacks: Sequence[str] = (),
    *,
    several_norms: bool = False,
    rescue: bool = False,
) -> pd.DataFrame:
    """A row for each column of these tables: table, column, unit, meaning.

    attacks: labels of the study's attacks, empty if its only one has none. several_norms: whether levels are
    of more than one norm. rescue: whether failed inversions are tried again.
    """
    return pd.DataFrame(
        [
            {"table": table, "column": column, "unit": unit, "meaning": meaning}
            for table in tables
            for column, (unit, meaning) in _columns(
                table, attacks, several_norms=several_norms, rescue=rescue
            ).items()
        ]
    )


def _columns(
    table: str, attacks: Sequence[str], *, several_norms: bool, rescue: bool
) -> dict[str, tuple[str, str]]:
    """The columns of a table of a study as :func:`dictionary_columns` has it."""
    columns = COLUMNS[table] | (RESCUED.get(table, {}) if rescue else {})
    norms = NORMS.get(table, {}) if several_norms else {}
    for column, described in norms.items():
        after = list(columns).index(column.replace("norm", "eps")) + 1
        listed = list(columns.items())
        columns = dict([*listed[:after], (column, described), *listed[after:]])
    if not attacks:
        return columns
    if table == "models":
        columns = {
            labelled: (unit, meaning)
            for name, (unit, meaning) in columns.items()
            for labelled in ([f"{name}:{attack}" for attack in attacks] if name in OF_ATTACK else [name])
        }
    if table in OF_ATTACKED_IMAGES:
        columns = {"kind": KIND, **columns}
    return columns | ({"kind": KIND_OF_ATTACKS} if "kind" in columns else {})


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
                "definition": measure.definition,
                "direction": measure.direction,
                "symmetric": measure.symmetric,
                "unit": measure.unit,
                "low": low,
                "high": high,
                "unrelated": measure.unrelated,
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
