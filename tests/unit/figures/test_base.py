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
