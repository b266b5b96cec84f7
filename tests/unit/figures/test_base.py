"""What all figures share: titles, and files without dates."""

import pandas as pd

from modelkin.figures import base


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
