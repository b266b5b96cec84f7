"""Figures of stitches draw what the tables hold, also where trainings diverged or there is no baseline."""

import numpy as np
import pandas as pd
import pytest

from modelkin import figures
from modelkin.figures import base
from modelkin.operations.stages.columns import COLUMNS

NAMES = [name for name in figures.names() if figures.get(name).section == "stitching"]


def planted(baselines):
    generator, rows = np.random.default_rng(0), []
    for front, end in (("a", "b"), ("b", "a")):
        for block in (1, 2):
            for objective, start in (("matching", None), ("plain", "random"), ("plain", "least_squares")):
                made = dict.fromkeys(COLUMNS["stitching"], np.nan)
                made |= {name: generator.random() for name, (unit, _) in COLUMNS["stitching"].items() if unit}
                made |= {"front": front, "end": end, "block": block, "objective": objective, "start": start}
                made |= {"mode": "fast", "repeat": 0 if start else np.nan}
                made |= {"accuracy_low": 0.0, "accuracy_high": 1.0}
                made |= {"robust_accuracy_low": 0.0, "robust_accuracy_high": 1.0}
                rows.append(made)
        rows += [{**rows[-1], "objective": name, "start": None, "repeat": np.nan} for name in baselines]
        rows.append({**rows[-1], "accuracy": np.nan, "robust_accuracy": np.nan, "diverged_at": 3})
    table = pd.DataFrame(rows)
    maps = table[["front", "end", "r2"]].assign(family="least_squares", stitched_here=True)
    maps = maps.assign(front_block=table["block"].map(str), end_block=table["block"].map(str))
    maps = maps.drop_duplicates(["front", "end", "front_block", "end_block"]).assign(end_depth=0.5)
    return {"stitching": table, "stitching_matching": maps}


@pytest.mark.parametrize("baselines", [[], ["chance", "whole front", "whole end", "random front"]])
@pytest.mark.parametrize("name", NAMES)
def test_figures_of_stitches_draw(name, baselines):
    data = planted(baselines)
    before = {key: table.copy() for key, table in data.items()}
    base.style()
    drawn = figures.get(name).draw(data, {"palette": "colorblind"})
    assert any(axis.has_data() for axis in drawn.axes)
    drawn.canvas.draw()
    base.plt.close(drawn)
    for key, table in before.items():
        pd.testing.assert_frame_equal(data[key], table)
