"""The data dictionary: every column of every table, and every measure, as they are."""

import re

import pandas as pd
import pytest

from modelkin.comparison import measures
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.operations.data_dictionary import COLUMNS, dictionary_measures


@pytest.fixture(scope="module")
def tables(finished):
    return {path.stem: pd.read_parquet(path) for path in (finished.results / "tables").glob("*.parquet")}


# Tables of studies that ask for them: test_snapshots.py, test_layers.py, tests/unit/stitching.
ASKED_FOR = {"training_epochs", "other_models"}
ASKED_FOR |= {name for name in COLUMNS if name.startswith(("layer", "stitching"))}


def test_every_column_of_every_table_is_described(tables):
    assert tables.keys() == COLUMNS.keys() - ASKED_FOR
    for name, table in tables.items():
        assert set(table.columns) == set(COLUMNS[name]), name
    described = tables["dictionary"].groupby("table", sort=False)["column"].agg(set)
    assert described.to_dict() == {name: set(table.columns) for name, table in tables.items()}
    assert tables["dictionary"]["meaning"].str.len().min() > 4


def test_units_tell_names_from_numbers(tables):
    for row in tables["dictionary"].itertuples():
        column = tables[row.table][row.column]
        number = pd.api.types.is_numeric_dtype(column) and column.dtype != bool
        if column.notna().any() and not column.map(type).eq(str).any():
            assert number == bool(row.unit) or (row.table, row.column) in {
                ("clusters", "cluster"),
                ("component_keywords", "cluster"),
                ("ensemble_clusters", "draw"),
                ("ensemble_relations", "draw"),
            }, (row.table, row.column)


def test_every_measure_says_what_it_is(finished, tables):
    chosen = tables["measures"].set_index("measure")
    assert set(chosen.index) == set(tables["similarity"]["measure"])
    assert chosen.loc["sat", ["unit", "direction", "chance", "kinds"]].tolist() == [
        "ln %",
        "similarity",
        False,
        "adversarial",
    ]
    within = tables["similarity"].merge(tables["measures"], on="measure")
    assert within["value"].between(within["low"], within["high"]).all()
    every = dictionary_measures(
        ConfiguredMeasure(name, measures.get(name).settings).label for name in measures.names()
    )
    assert every.set_index("measure").loc["symmetrised_kl", ["direction", "unit", "high"]].tolist() == [
        "distance",
        "nats",
        float("inf"),
    ]


def test_the_page_is_whole_and_its_example_runs(finished, monkeypatch, capsys):
    text = (finished.results / "tables" / "README.md").read_text()
    for table, columns in COLUMNS.items():
        if table in ASKED_FOR:
            continue
        section = text.split(f"\n## {table}\n")[1].split("\n## ")[0]
        assert set(re.findall(r"^\| (\w+) \|", section, re.MULTILINE)) == {"column", *columns}
    monkeypatch.chdir(finished.results / "tables")
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], {})
    assert "linear_cka" in capsys.readouterr().out
