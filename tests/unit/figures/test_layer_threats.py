"""Which maps the figure of models that withstand different attacks has, and that it can be drawn."""

import pandas as pd
import pytest

from modelkin import figures
from modelkin.figures import base, layer_threats

MODELS = pd.DataFrame(
    {
        "name": ["std", "linf", "l2", "snow", "linf-b"],
        "eps": [0, 0.03, 1, 2, 0.03],
        "norm": ["l2", "linf", "l2", "snow", "linf"],
        "inversion_failed": False,
        "at_chance": False,
    }
)
PAIRS = {
    ("std", "linf"): 0.4,
    ("linf", "l2"): 0.9,
    ("linf", "snow"): 0.6,
    ("l2", "snow"): 0.7,
    ("linf", "linf-b"): 0.95,
}


def tables(pairs=PAIRS):
    about = {"kind_a": "natural", "kind": "natural", "measure": "layer_cka", "n": 100}
    summary = [
        {"model_a": a, "model_b": b, "statistic": "same_layer", "value": value, **about}
        | {"ci_low": value - 0.1, "ci_high": value + 0.1, "untrained": 0.3}
        for (a, b), value in pairs.items()
    ]
    cells = [
        {"model_a": a, "model_b": b, "layer_a": one, "layer_b": two, "value": value, "chance": 0, **about}
        for (a, b), value in pairs.items()
        for one in ("conv", "fc")
        for two in ("conv", "fc")
    ]
    layers = [
        {"model": name, "layer": layer, "stage": stage, "block_end": False, "cut_point": True}
        for name in MODELS["name"]
        for stage, layer in enumerate(("conv", "fc"))
    ]
    found = {"models": MODELS, "layer_summary": summary, "layer_maps": cells, "layers": layers}
    made = {name: pd.DataFrame(rows) for name, rows in found.items()}
    made["layer_maps"]["snapshot"] = pd.NA
    return made


def test_each_robust_model_stands_beside_those_of_other_levels_the_most_alike_first():
    found = layer_threats.grid(tables()["layer_summary"], MODELS)
    shown = {name: [(row.model_a, row.model_b) for row in rows] for name, rows in found.items()}
    assert shown == {
        "linf": [("linf", "l2"), ("linf", "snow")],
        "l2": [("linf", "l2"), ("l2", "snow")],
        "snow": [("l2", "snow"), ("linf", "snow")],
    }


@pytest.mark.parametrize(
    ("pairs", "panels"),
    [
        (PAIRS, 6),
        (PAIRS | {("l2", "linf-b"): 0.5}, 7),  # rows of two and of three maps
        ({("linf", "l2"): 0.9}, 1),
        ({("std", "linf"): 0.4}, 0),
    ],
)
def test_it_is_drawn(pairs, panels, tmp_path):
    base.style()
    drawn = base.draw_study(figures.get("layer_threats"), tables(pairs), {})
    titles = [axis.get_title() for axis in drawn.axes if axis.get_title()]
    assert len(titles) == panels
    first = "l2 1 with linf 0.03" if panels == 7 else "linf 0.03 with l2 1"
    assert not panels or titles[0].startswith(f"{first}\n0.90 [0.80, 1.00]")
    base.save(drawn, tmp_path, "drawn", 60, MODELS)
    assert (tmp_path / "drawn.png").stat().st_size > 1000
