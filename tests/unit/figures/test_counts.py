"""Every count that a figure states is that of the rows it draws."""

import itertools

import numpy as np
import pandas as pd
import pytest

from modelkin import figures
from modelkin.analysis import relations, tables
from modelkin.figures import base

SETTINGS = {"palette": "colorblind", "order": "level"}
NAMES = list("abcde")
MODELS = pd.DataFrame(
    {
        **{"name": NAMES, "architecture": "vgg", "structure": "vgg", "regime": "standard"},
        **{"eps": [0.0, 0.0, 0.0, 0.25, 0.25], "norm": "l2", "hyper_parameters": "", "source": "train"},
        **{"inversion_failed": False, "at_chance": False, "evaluated": [40, 50, 50, 50, 50]},
    }
)


def similarity(measure="linear_cka"):
    """Natural pairs on 10 to 14 images, the first on 14; inverted ones on 20, 'ab' without a value."""
    rows = []
    for kind in ("natural", "inverted"):
        for (i, a), (j, b) in itertools.product(enumerate(NAMES), repeat=2):
            if kind == "inverted" or i <= j:
                undefined = kind == "inverted" and {a, b} == {"a", "b"}
                rows.append(
                    {
                        **{"kind": kind, "source": a, "model_a": a, "model_b": b, "measure": measure},
                        **{"value": np.nan if undefined else 0.5, "stderr": 0.1, "chance": 0.1},
                        **{
                            "ci_low": 0.4,
                            "ci_high": 0.6,
                            "attack_success": np.nan,
                            "inversion_success": np.nan,
                        },
                        "n": 0 if undefined else 20 if kind == "inverted" else 14 - j % 5,
                    }
                )
    return pd.DataFrame(rows)


def footnote(name, **more):
    """What a figure of the five models says below it."""
    base.style()
    rows = similarity(figures.get(name).measure or "linear_cka")
    if figures.get(name).measure:
        rows = rows.query("kind == 'natural'")
    made = {"models": MODELS, "similarity": rows, "summary": tables.summary(rows, MODELS)}
    data = made | {"asymmetry": tables.asymmetry(rows, MODELS)} | more
    if name == "relations":
        data["relations"] = relations.relation_similarities(
            data["similarity"], data["models"], permutations=19
        )
    drawn = figures.get(name).draw(data, SETTINGS)
    base.plt.close(drawn)
    return drawn.get_supxlabel()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("robustness", "10 to 13 natural images, 20 inverted images"),
        ("levels", "pairs in a box: 1 to 3 natural, 2 to 4 inverted"),
        ("asymmetry", "n = 20 images"),
        ("relations", "initialisation: 9 to 10"),
        ("saliency", "n = 10 to 13 natural images"),
    ],
)
def test_a_footnote_counts_what_is_drawn(name, said):
    assert said in footnote(name)


def test_cards_say_how_many_images_were_attacked():
    cards = MODELS.assign(
        **dict.fromkeys(("parameters", "multiply_adds", "size", "width"), 8), head="fc", clean_accuracy=0.5
    )
    cards = cards.assign(adversarial_accuracy=0.5, autoattack_accuracy=None, attack_success=np.nan)
    assert "under PGD on 40 to 50 of its images" in footnote("cards", models=cards)


@pytest.mark.parametrize(("numbers", "said"), [([], "0"), ([3, 3], "3"), ([7, 3, 5], "3 to 7")])
def test_counts_in_words(numbers, said):
    assert base.counted(numbers) == said


@pytest.mark.parametrize("name", ["robustness", "levels", "asymmetry", "relations"])
def test_a_figure_without_anything_to_draw_says_so(name):
    rows = similarity().query("model_a == model_b")
    made = {"similarity": rows, "summary": tables.summary(rows, MODELS)}
    assert footnote(name, **made, asymmetry=tables.asymmetry(rows, MODELS)) == ""


@pytest.mark.parametrize("name", ["robustness", "levels", "asymmetry", "relations"])
def test_a_footnote_names_the_copies_that_are_left_out(name):
    copied = MODELS.assign(same_weights_as=[None, None, "a", None, None])
    rows = similarity()
    made = {"summary": tables.summary(rows, copied), "asymmetry": tables.asymmetry(rows, copied)}
    assert "; without c, copies of other models" in footnote(name, models=copied, **made)
    assert "copies" not in footnote(name)


@pytest.mark.parametrize("name", ["robustness", "levels", "asymmetry"])
def test_levels_of_several_norms_have_their_norms_on_the_axis(name):
    mixed = MODELS.assign(eps=[0.0, 0.25, 0.25, 0.25, 0.25], norm=["l2", "l2", "l2", "linf", "linf"])
    rows = similarity()
    base.style()
    made = {"models": mixed, "similarity": rows, "summary": tables.summary(rows, mixed)}
    drawn = figures.get(name).draw(made | {"asymmetry": tables.asymmetry(rows, mixed)}, SETTINGS)
    base.plt.close(drawn)
    written = [label.get_text() for label in drawn.axes[0].get_xticklabels()]
    assert written == ["0", "l2 0.25", "linf 0.25"]


def failed_rows(*names):
    return similarity().assign(
        inversion_failed=lambda rows: (rows["kind"] == "inverted") & rows["source"].isin(names)
    )


@pytest.mark.parametrize("name", ["robustness", "levels", "relations"])
def test_failed_sources_are_hollow_and_counted(name):
    rows = failed_rows("d")
    made = {"similarity": rows, "summary": tables.summary(rows, MODELS)}
    assert "inverted images of 1 of 5 models whose inversion failed" in footnote(name, **made)
    assert "failed" not in footnote(name)


def test_a_level_whose_sources_all_failed_has_no_point():
    rows = failed_rows("d", "e")
    made = tables.summary(rows, MODELS).query("kind == 'inverted'").set_index("eps")
    assert made.loc[0.25, ["mean", "pairs"]].tolist() == [0.5, 2]
    assert np.isnan(made.loc[0.25, "mean_inverted"])
    assert made.loc[0.25, "pairs_inverted"] == 0
    assert made.loc[0, ["mean_inverted", "pairs_inverted"]].tolist() == [0.5, 4]
    base.style()
    data = {"models": MODELS, "similarity": rows, "summary": tables.summary(rows, MODELS)}
    drawn = figures.get("robustness").draw(data, SETTINGS)
    base.plt.close(drawn)
    marks = [line for line in drawn.axes[0].lines if line.get_marker() not in {"None", "", "_"}]
    heights = [np.asarray(line.get_ydata(), float) for line in marks]
    assert sum(np.isfinite(height).sum() for height in heights) == 3, "natural twice, inverted once"


@pytest.mark.parametrize("name", ["ensembles", "correlations", "teachers", "robustness"])
def test_too_few_models_get_a_line_that_says_so(name):
    base.style()
    few = figures.get(name).fewest - 1
    drawn = base.draw_study(figures.get(name), {"models": MODELS[:few]}, SETTINGS)
    base.plt.close(drawn)
    said = drawn.axes[0].texts[0].get_text()
    assert said == f"too few models have a value: {few}, and this means something from {few + 1} on"


def test_importance_of_two_models_is_a_line_too():
    base.style()
    drawn = base.draw_measure(figures.get("importance"), {"models": MODELS[:2]}, SETTINGS, "linear_cka")
    base.plt.close(drawn)
    assert drawn.axes[0].texts[0].get_text().startswith("too few models")


def test_saliency_of_models_of_distinct_levels_is_drawn():
    distinct = MODELS.assign(eps=[0.0, 0.1, 0.2, 0.3, 0.4])
    assert "natural images" in footnote("saliency", models=distinct)
