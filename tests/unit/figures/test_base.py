"""What all figures share: titles, and files without dates."""

import itertools

import numpy as np
import pandas as pd
import pytest

from modelkin.data.images import Images
from modelkin.figures import base, cards, heatmaps, inversions


def test_titles_of_measures():
    assert base.describe("knn_jaccard-k20") == ("k-NN Jaccard (k = 20)", "similarity")
    assert base.describe("symmetrised_kl") == ("symmetrised KL divergence", "distance")


def test_the_same_figure_is_the_same_file(tmp_path):
    base.style()
    models = pd.DataFrame({"name": ["good", "bad"], "at_chance": [False, True]})
    for name in "ab":
        (tmp_path / name).mkdir()
        figure, (axis,) = base.facets(1)
        axis.plot([0, 1], [1, 0])
        base.save(figure, tmp_path / name, "x", 50, models)
    for end in ("png", "pdf"):
        assert (tmp_path / "a" / f"x.{end}").read_bytes() == (tmp_path / "b" / f"x.{end}").read_bytes()


def test_attacks_that_the_first_panel_lacks_are_told_apart_where_they_are():
    figure, (first, second, third) = base.facets(3)
    for axis, kinds in ((first, ["natural"]), (second, ["adversarial:l2", "adversarial:0.1"]), (third, [])):
        for kind in kinds:
            axis.plot([0, 1], [1, 0], label=kind)
    base.kind_legend(figure, first, second, third)
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["natural"]
    words = ["adversarial (l2)", "adversarial (0.1)"]
    assert [text.get_text() for text in second.get_legend().get_texts()] == words
    assert third.get_legend() is None


def test_an_attack_has_the_same_colour_whatever_the_order_of_a_table():
    kinds = ["adversarial:linf", "natural", "natural:big", "adversarial:l2", "inverted"]
    tables = [pd.DataFrame({"kind": kinds}), pd.DataFrame({"kind": sorted(kinds)})]
    ordered = ["natural", "inverted", "adversarial:l2", "adversarial:linf", "natural:big"]
    assert [base.kinds_in(rows) for rows in tables] == [ordered, ordered]
    one, other = (base.kind_looks(rows, "colorblind") for rows in tables)
    assert one == other
    assert len({look["color"] for look in one.values()}) == len(kinds)


def crowd(count, spread):
    """A figure of so many models near each other, and their names as they are drawn."""
    base.style()
    names = [f"model-{i}" for i in range(count)]
    models = pd.DataFrame({"name": names, "architecture": ["vgg", "vit"] * (count // 2)})
    models = models.assign(inversion_failed=False, at_chance=False)
    x, y = np.random.default_rng(0).normal(size=(2, count))
    places = pd.DataFrame({"model": names, "x": x, "y": y, "cluster": np.arange(count) % 3})
    figure, (axis,) = base.facets(1, width=5, height=4)
    colours = base.cluster_colours(places, "colorblind")
    look = {"palette": "colorblind", "sizes": pd.Series(40, index=names), "colours": colours}
    texts = base.clustered_points(axis, places, models, names_up_to=80, **look)
    base.cluster_legend(figure, colours)
    figure.canvas.draw()
    if spread:
        base.spread_names(figure, {axis: texts})
        figure.canvas.draw()
    return figure, texts


def overlaps(texts):
    boxes = [text.get_window_extent() for text in texts]
    return sum(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_names_of_points_do_not_lie_on_each_other():
    figure, texts = crowd(30, spread=True)
    assert overlaps(texts) == 0
    assert overlaps(crowd(30, spread=False)[1]) > 2
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3"]
    again = [text.get_position() for text in crowd(30, spread=True)[1]]
    assert again == [text.get_position() for text in texts], "the same figure is the same file"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"aa": 1, "bb": 1, "ab": 0.6, "ac": 0.9, "cc": 1}, (0.6, 0.9, "max")),
        ({"aa": 0, "bb": 0, "ab": 2, "ac": 5, "cc": 0}, (2, 5, "min")),  # a distance
        ({"aa": 1, "ab": 0.4}, (0, 1, "neither")),  # one pair has no range
        ({"aa": 1, "ab": np.nan}, (0, 1, "neither")),
    ],
)
def test_colours_of_a_heatmap_use_the_range_of_its_pairs(values, expected):
    rows = pd.DataFrame([{"model_a": a, "model_b": b, "value": value} for (a, b), value in values.items()])
    assert heatmaps.scale_of(rows) == expected


def test_what_is_the_same_of_all_models_is_no_column_of_their_cards():
    base.style()
    models = pd.DataFrame(
        {
            "name": ["a", "b"],
            "architecture": ["vgg", "vit"],
            "source": "train",
            "eps": 0.0,
            "norm": "l2",
            "parameters": [10, 20],
            "multiply_adds": [10, 20],
            "size": 8,
            "head": "1",
            "width": [16, 32],
            "evaluated": 100,
            "clean_accuracy": [0.5, 0.6],
            "adversarial_accuracy": [0.1, 0.2],
            "autoattack_accuracy": np.nan,
            "attack_success": [1.0, 0.9],
            "inversion_failed": False,
            "at_chance": False,
        }
    )

    drawn = cards.draw({"models": models}, {})
    assert "size" not in drawn.text
    assert "width" in drawn.text
    assert drawn.note.endswith(
        "All models: source train, images of 8 pixels, representation is the input of layer '1'."
    )
    drawn = cards.draw({"models": models.assign(size=[8, 16])}, {})
    assert list(drawn.text["size"]) == ["8", "16"]
    assert "pixels" not in drawn.note


@pytest.mark.parametrize(
    ("models", "inches", "points"), [(18, 4.32, 7.0), (300, 24.0, 4.0), (600, 24.0, None)]
)
def test_a_square_of_many_models_has_smaller_names_or_none(models, inches, points):
    base.style()
    side = base.side_of_square(models, 0.24)
    assert side == pytest.approx(inches)
    drawn, axis = base.plt.subplots(figsize=(side, side))
    base.square(axis, np.eye(models), [f"m{i}" for i in range(models)], [])
    names = axis.get_xticklabels()
    base.plt.close(drawn)
    assert len(names) == (models if points else 0)
    if points:
        assert names[0].get_fontsize() == pytest.approx(points, abs=0.2)


def test_a_gallery_of_hundreds_shows_some_of_all_and_says_so():
    base.style()
    names = [f"m{i:03}" for i in range(200)]
    models = pd.DataFrame({"name": names, "at_chance": False, "inversion_failed": False})
    test = Images(np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, int), np.array(["0", "1"]), ["a"])
    pairs = pd.DataFrame({"sample": ["0", "1"], "seed": ["0", "1"], "target": ["1", "0"]})
    for many, note in (
        (200, "80 of 200 models, 1 of 2 pairs; * inversion failed"),
        (3, "1 of 2 pairs; * inversion failed"),
    ):
        given = {"models": models[:many], "images": (test, pairs, dict.fromkeys(names[:many], test))}
        drawn = inversions.draw(given, {"gallery": 1})
        base.plt.close(drawn)
        titles = [axis.get_title() for axis in drawn.axes]
        assert len(titles) == 2 + min(many, 80)
        assert (titles[2], titles[-1]) == (names[0], names[many - 1])
        assert drawn.get_supxlabel() == note
