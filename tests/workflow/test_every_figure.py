"""Every figure draws the tables of a finished study, and those of as few models as can be compared."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import TINY

from modelkin import figures
from modelkin.analysis.tables import asymmetry, summary
from modelkin.data.images import load_images
from modelkin.figures import base
from modelkin.store import frames
from modelkin.study.config import Study

# Columns with a model's name, or with several of them between commas.
NAMED = ("name", "model", "model_a", "model_b", "source", "teacher", "models", "single")


def of_models(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The rows that are about these models alone."""
    every = {entry["name"] for entry in TINY["models"]}
    for column in set(NAMED) & set(table.columns):
        named = table[column].map(lambda cell: set(str(cell).split(",")))
        if named.map(every.issuperset).all():  # or else it is something else, as a number of models
            table = table[named.map(set(names).issuperset)]
    return table.reset_index(drop=True)


@pytest.fixture(scope="module")
def data(finished):
    """What figures are drawn of, in a study of four models and one of two."""
    tables = finished.results / "tables"
    stored = {path.stem: frames.read(path.with_suffix(".json")) for path in tables.glob("*.parquet")}
    test = load_images(finished.results / "dataset.json", "test")
    pairs = frames.read(finished.results / "probes" / "pairs.json")
    found = {}
    for number in (4, 2):
        names = [entry["name"] for entry in TINY["models"]][:number]
        inverted = {
            name: load_images(finished.results / "probes" / "inverted" / f"{name}.json") for name in names
        }
        chosen = {key: of_models(table, names) for key, table in stored.items()}
        # Of levels, whose rows name no model.
        for name, make in {"summary": summary, "asymmetry": asymmetry}.items():
            chosen[name] = make(chosen["similarity"], chosen["models"])
        natural = load_images(finished.results / "probes" / "natural.json")
        attacked = {
            "adversarial": load_images(finished.results / "probes" / "adversarial" / f"{names[0]}.json")
        }
        found[number] = chosen | {
            "images": (test, pairs, inverted),
            "attacked": (natural, names[0], attacked),
        }
    return found


def global_state():
    """Of the generator that everybody shares, as seaborn's jitter."""
    return repr(np.random.get_state())  # noqa: NPY002


# Those of layers are drawn in tests/workflow/test_layers.py, those of stitching in tests/unit/stitching.
DRAWN = [name for name in figures.names() if figures.get(name).section not in ("layers", "stitching")]


@pytest.mark.parametrize("number", [4, 2])
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_draws(name, number, data, tmp_path):
    figure, settings, given = figures.get(name), Study(TINY).section("figures"), data[number]
    labels = base.in_order(given["similarity"]) if figure.per_measure else [None]
    wanted = {key: settings[key] for key in figure.settings} | {"attacks": Study(TINY).attacks}
    tables = {key: given[key] for key in {*figure.tables, "models"}}
    before = {key: table.copy() for key, table in tables.items() if key not in ("images", "attacked")}
    base.style()
    chance = global_state()
    for label in labels:
        drawn = (
            base.draw_measure(figure, tables, wanted, label)
            if figure.per_measure
            else base.draw_study(figure, tables, wanted)
        )
        if figure.as_table:
            base.save(drawn, tmp_path, label or name, 50, tables["models"])
            page = (tmp_path / f"{label or name}.html").read_text()
            if "this means something from" in page:
                continue
            assert not set(re.findall(r"<td[^>]*>(nan|None|)</td>", page)), "a cell without words"
            assert pd.read_csv(tmp_path / f"{label or name}.csv").shape[0] >= page.count("<tr>") - 1
            continue
        written = [text for axis in drawn.axes for text in axis.get_title() + axis.get_xlabel()]
        written += [text.get_text() for axis in drawn.axes for text in axis.texts]
        assert any(written), "nothing says what is seen"
        base.save(drawn, tmp_path, label or name, 50, tables["models"])
        assert (tmp_path / f"{label or name}.pdf").read_bytes().startswith(b"%PDF")
        ink = base.plt.imread(tmp_path / f"{label or name}.png")[..., :3]
        assert np.ptp(ink) > 0.2, "the picture is empty"
    if global_state() != chance:
        again = (
            base.draw_measure(figure, tables, wanted, label)
            if label
            else base.draw_study(figure, tables, wanted)
        )
        (tmp_path / "again").mkdir()
        base.save(again, tmp_path / "again", label or name, 50, tables["models"])
        files = [folder / f"{label or name}.png" for folder in (tmp_path, tmp_path / "again")]
        assert files[0].read_bytes() == files[1].read_bytes(), "it asks chance where to draw"
    for key, table in before.items():
        pd.testing.assert_frame_equal(tables[key], table)
