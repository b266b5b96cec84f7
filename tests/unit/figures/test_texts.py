"""Figures of texts that matplotlib would take for mathematics, and of measures without clusters."""

import matplotlib as mpl
import pandas as pd
import pytest

from modelkin import figures
from modelkin.figures import base

mpl.use("agg")
MODELS = pd.DataFrame(
    {"name": ["a", "b"], "eps": [0.0, 0.0], "architecture": "vgg", "at_chance": [False, False]}
)


@pytest.fixture
def empty():
    """The tables of a study in which no measure has clusters."""
    rows = {
        "clusters": ["measure", "kind", "model", "cluster", "x", "y", "t_sne_x", "t_sne_y"],
        "cluster_stability": ["measure", "kind", "clusters", "ari_models_mean"],
        "spectra": ["measure", "kind", "rank", "eigenvalue"],
        "spectral_features": ["measure", "kind", "model", "rank", "value"],
        "component_keywords": ["measure", "kind", "cluster", "rank", "keyword", "weight"],
    }
    return {"models": MODELS} | {name: pd.DataFrame(columns=columns) for name, columns in rows.items()}


OF_CLUSTERS = [
    name
    for name in figures.names()
    if figures.get(name).section == "clusters" and figures.get(name).per_measure
]


@pytest.mark.parametrize("name", OF_CLUSTERS)
def test_a_measure_without_clusters_is_drawn_in_words(empty, tmp_path, name):
    base.style()
    drawn = base.draw_measure(figures.get(name), empty, {"palette": "colorblind"}, "linear_cka")
    base.save(drawn, tmp_path, "x", 50, MODELS)
    assert (tmp_path / f"x{figures.get(name).suffix}").stat().st_size > 0


def test_there_are_such_figures():
    assert {"embedding", "keywords"} <= set(OF_CLUSTERS)


@pytest.mark.parametrize("text", [r"$\frac{1}", r"$\frac{1}$", "a $ b $ c", "$$", "100 $", "plain"])
def test_texts_are_drawn_as_they_are(tmp_path, text):
    table = pd.DataFrame({"keyword": [text, None], "rank": [1, 2], text: [1, 2]})
    shown = base.as_plain_text(table)
    assert shown["rank"].tolist() == [1, 2]
    base.style()
    figure, axis = base.plt.subplots()
    for odd in (shown["keyword"][0], shown.columns[2]):
        written = axis.text(0, 0, odd)
        assert written._preprocess_math(written.get_text()) == (text, False)
    base.save(figure, tmp_path, "x", 50, MODELS)
