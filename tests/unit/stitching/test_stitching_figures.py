"""Figures of stitches draw what the tables hold, also where trainings diverged or there is no baseline."""

import numpy as np
import pandas as pd
import pytest

from modelkin import figures
from modelkin.data.images import Images
from modelkin.figures import base
from modelkin.figures.stitching_cka import with_cka
from modelkin.operations.stages.columns import COLUMNS
from modelkin.stitching.advice import replaceable_table

NAMES = [name for name in figures.names() if figures.get(name).section == "stitching"]


def planted(baselines, several=True):
    generator, rows = np.random.default_rng(0), []
    for front, end in (("a", "b"), ("b", "a")):
        for block in (1, 2):
            for objective, start in (("matching", None), ("plain", "random"), ("plain", "least_squares")):
                made = dict.fromkeys(COLUMNS["stitching"], np.nan)
                made |= {name: generator.random() for name, (unit, _) in COLUMNS["stitching"].items() if unit}
                made |= {"front": front, "end": end, "block": block, "objective": objective, "start": start}
                made |= {"mode": "fast", "repeat": 0 if start else np.nan, "task": "digits"}
                made |= {"epochs": 3 + block if several else 3, "learning_rate": 0.01}
                made |= {"front_block": str(block), "end_block": str(block)}
                made |= {"accuracy_low": 0.0, "accuracy_high": 1.0}
                made |= {"robust_accuracy_low": 0.0, "robust_accuracy_high": 1.0}
                rows.append(made)
        rows += [{**rows[-1], "objective": name, "start": None, "repeat": np.nan} for name in baselines]
        rows.append({**rows[-1], "accuracy": np.nan, "robust_accuracy": np.nan, "diverged_at": 3})
    table = pd.DataFrame(rows)
    maps = table[["front", "end", "task", "r2"]].assign(family="least_squares", stitched_here=True)
    maps = maps.assign(front_block=table["block"].map(str), end_block=table["block"].map(str))
    maps = maps.drop_duplicates(["front", "end", "front_block", "end_block"]).assign(end_depth=0.5)
    layer_maps = maps.rename(columns={"front": "model_a", "end": "model_b", "r2": "value"})
    layer_maps = layer_maps.rename(columns={"front_block": "layer_a", "end_block": "layer_b"})
    layer_maps = layer_maps.assign(snapshot=np.nan, kind="natural", measure="layer_cka")
    models = pd.DataFrame({"name": ["a", "b"], "eps": [0.0, 1.0], "norm": "l2"})
    heads = dict.fromkeys(COLUMNS["stitching_agreement"], 0.5)
    views = table[table["objective"] == "matching"].assign(label=0, x=0.5, y=0.5, silhouette=0.1, of="front")
    return {
        **planted_images(views),
        "stitching_t_sne": pd.concat([views, views.assign(of="stitched", label=1)]),
        "stitching": table,
        "stitching_matching": maps,
        "layer_maps": layer_maps,
        "stitching_replaceable": replaceable_table(table, margin=0.9),
        "models": models,
        "stitching_agreement": pd.DataFrame([heads | {"body": "a", "head": "b"}]),
    }


def planted_images(views):
    """Two images through two pairs at two blocks; every image is of one brightness, by where it stands."""
    whole = views.drop_duplicates(["front", "end"]).assign(block=np.nan)
    views = pd.concat(
        [whole.assign(view=f"whole {role}") for role in ("end", "front")] + [views.assign(view="stitched")]
    )
    views = views.assign(seed="0", target="1", loss=0.25)
    views = pd.concat([views.assign(sample=each) for each in ("0>1", "2>1")])

    def images(brightness, ids):
        pixels = np.full((len(ids), 1, 4, 4), brightness, np.float32)
        return Images(pixels, np.zeros(len(ids), int), np.array(ids), ["a"])

    brightness = {"end": 0.1, "front": 0.2, "block-1": 0.3, "block-2": 0.4}

    def stitched(view):
        return images(brightness[view], ["0>1", "2>1"])

    tasks = {"digits": images(0.9, ["0", "1"])}
    return {"stitching_inversions": views, "stitched": (tasks, {"a--b": stitched, "b--a@digits": stitched})}


def test_the_gallery_shows_each_view_in_its_column():
    base.style()
    data = planted([])
    drawn = figures.get("stitching_inversions").draw(data, {"palette": "colorblind", "gallery": 1})
    shown = {}
    for axis in drawn.axes:
        name = axis.get_title().split("\n")
        shown.setdefault(name[0], []).append((float(axis.images[0].get_array().mean()), *name[1:]))
    base.plt.close(drawn)
    wanted = {"whole end": 0.1, "whole front": 0.2, "block 1": 0.3, "block 2": 0.4}
    assert {name: [each[0] for each in own] for name, own in shown.items()} == {
        name: pytest.approx([of] * 2) for name, of in (wanted | {"seed": 0.9, "target": 0.9}).items()
    }
    assert {each[1] for name in wanted for each in shown[name]} == {"0.25"}


@pytest.mark.parametrize("baselines", [[], ["chance", "whole front", "whole end", "random front"]])
@pytest.mark.parametrize("name", NAMES)
def test_figures_of_stitches_draw(name, baselines):
    data = planted(baselines)
    before = {key: table.copy() for key, table in data.items() if key != "stitched"}
    base.style()
    drawn = figures.get(name).draw(data, {"palette": "colorblind", "gallery": 6})
    if figures.get(name).as_table:
        assert "is shown to lose less than" in drawn.page(name)
    else:
        assert any(axis.has_data() or axis.texts for axis in drawn.axes)
        drawn.canvas.draw()
        base.plt.close(drawn)
    for key, table in before.items():
        pd.testing.assert_frame_equal(data[key], table)


def test_a_table_has_the_blocks_that_can_be_replaced_alone():
    rows = planted(["whole front", "random end"])["stitching_replaceable"]
    losses = {"loss": 0.021, "loss_low": -0.01, "loss_high": 0.05, "random_end": np.nan}
    rows = rows.assign(recommended=[True, True, *[False] * (len(rows) - 2)], **losses)
    drawn = figures.get("stitching_replaceable").draw({"stitching_replaceable": rows}, {})
    assert list(drawn.text["loss"]) == ["2.1 (-1.0 to 5.0)"] * 2
    assert list(drawn.text["random"]) == ["-"] * 2
    assert f"{len(rows) - 2} other trainings have no such block" in drawn.note
    assert drawn.csv().startswith("front,end,task,objective")
    assert drawn.page("x").count("</tr>") == 3


def test_a_study_of_one_start_one_rate_and_one_time_has_words_for_a_figure():
    data = planted([], several=False)
    table = data["stitching"]
    alike = {"stitching": table[table["start"] != "random"]}
    drawn = figures.get("stitching_starts").draw(alike, {"palette": "colorblind"})
    assert "from one start" in drawn.axes[0].texts[0].get_text()
    base.plt.close(drawn)


def test_a_pair_finds_its_map_whichever_way_it_was_compared():
    data = planted([])
    maps = data["layer_maps"].query("model_a == 'a'")
    found = with_cka(data["stitching"], maps).groupby(["front", "front_block", "end_block"])["cka"].first()
    for row in maps.itertuples():
        assert found["a", row.layer_a, row.layer_b] == found["b", row.layer_b, row.layer_a] == row.value


def test_legends_are_in_words():
    drawn = figures.get("stitching").draw(planted([]), {"palette": "colorblind"})
    said = [each.get_text() for each in drawn.legends[0].get_texts()]
    assert any("least-squares start" in each for each in said)
    assert not any("_" in each for each in said)
    base.plt.close(drawn)
