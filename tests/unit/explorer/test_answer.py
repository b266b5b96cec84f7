"""The answer in words, of studies whose truth is known."""

import pandas as pd
import pytest
from known_study import models_of, similarity_of, tables_of

from modelkin.explorer import answer


def said(tables, section=None):
    """What is said in a section, or in all, by tone."""
    found = [each for each in answer.answer(tables) if section in (None, each.section)]
    return {
        tone: [each.text for each in found if each.tone == tone] for tone in ("finding", "nothing", "warning")
    }


def test_where_nothing_is_to_be_found_it_says_so():
    models = models_of(12, robust=6)
    tables = tables_of(models, similarity_of(models, lambda *_: 0.5, noise=0.05))
    for section in (answer.INVERTED, answer.ROBUST):
        told = said(tables, section)
        assert not told["finding"]
        assert all("not shown to be more or less alike" in text for text in told["nothing"])
        assert told["nothing"]


def test_a_difference_that_is_there_is_told_with_its_interval():
    models = models_of(6)
    alike = {"natural": 0.8, "inverted": 0.2}
    tables = tables_of(models, similarity_of(models, lambda kind, a, b: alike[kind], noise=0.01))
    (text,) = said(tables, answer.INVERTED)["finding"]
    assert text.startswith("Standard models are less alike on inverted images than on natural ones")
    assert "a difference of \u22120.6" in text
    assert "15 pairs of 6 models (of 1 other measure: less alike by 1)" in text


def test_the_most_alike_pair_is_named_with_those_that_it_cannot_be_told_from():
    models = models_of(5)
    near = {frozenset(("m1", "m3")): 0.9, frozenset(("m0", "m2")): 0.889}
    tables = tables_of(models, similarity_of(models, lambda kind, a, b: near.get(frozenset((a, b)), 0.4)))
    first = said(tables, answer.PAIRS)["finding"][0]
    assert "highest for m3 and m1 (0.90 [0.89, 0.91]; the intervals of 1 other pair overlap" in first
    best = answer.extremes(tables).set_index(["kind", "measure"])
    assert {best.loc[("natural", "symmetrised_kl"), side] for side in ("most_a", "most_b")} == {"m1", "m3"}


def test_two_models_have_one_pair_and_intervals_over_images_alone():
    models = models_of(2)
    tables = tables_of(models, similarity_of(models, lambda kind, a, b: 0.5 if kind == "natural" else 0.1))
    words = "".join(word if isinstance(word, str) else word.text for word in answer.headline(tables))
    assert "m1 and m0 have linear CKA 0.50 [0.49, 0.51] on natural images" in words
    assert any("nothing can be said of other models" in text for text in said(tables)["warning"])
    assert not said(tables, answer.GROUPS)["nothing"]


def test_models_that_say_nothing_come_first_and_stand_in_no_mean():
    models = models_of(8)
    models.loc[0, ["inversion_failed", "inversion_median_loss"]] = [True, 0.9]
    models.loc[1, "at_chance"] = True
    models.loc[3, "same_weights_as"] = "m2"
    # What was inverted for m0, and all of m1 and m3, would show in every mean.
    odd = {"m0", "m1", "m3"}
    similarity = similarity_of(models, lambda kind, a, b: 9.0 if a in odd or b in odd - {"m0"} else 0.5)
    tables = tables_of(models, similarity)
    told = answer.answer(tables)
    assert [each.section for each in told[:3]] == [answer.CAREFUL] * 3
    warnings = " ".join(said(tables)["warning"])
    assert "know nothing: m1" in warnings
    assert "Inversion failed for 1 of 8 models: m0" in warnings
    assert "m3 has the very weights of m2" in warnings
    inverted = tables["level_means"].query("kind == 'inverted' and measure == 'linear_cka'")
    assert inverted["mean"].to_numpy() == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("gain_low", "words"), [(-0.01, "No ensemble of 2 is recommended"), (0.02, "Choose m0, m1")]
)
def test_an_ensemble_is_advised_only_if_it_gains(gain_low, words):
    models = models_of(3)
    row = {"use": "ensemble of 2", "models": "m0,m1", "against": "m0", "gain": 0.03, "gain_low": gain_low}
    advice = pd.DataFrame([{**row, "gain_high": 0.05, "chosen_again": 1.0, "n": 100, "basis": "halves"}])
    tables = tables_of(models, similarity_of(models, lambda *_: 0.5), recommendations=advice)
    (sentence,) = [each for each in answer.answer(tables) if each.section == answer.ADVICE]
    assert sentence.text.startswith(words)
    assert f"3.00 [{'2.00' if gain_low > 0 else chr(8722) + '1.00'}, 5.00]" in sentence.text


def test_conclusions_say_under_how_many_measures_they_hold():
    models = models_of(3)
    row = {"conclusion": "robust models are more alike", "about": "l2 1 against standard", "measure": "m"}
    row |= {"holding": 2, "opposite": 0, "decided": 2, "under": "every measure", "kind": "inverted"}
    some = {"kind": "natural", "under": "measures contradict each other", "holding": 1, "opposite": 1}
    few = {"conclusion": "closest pair", "decided": 0, "under": "too few models"}
    rows = pd.DataFrame([row, row | {"measure": "n"}, row | some, row | few])
    tables = tables_of(models, similarity_of(models, lambda *_: 0.5), conclusions=rows)
    assert said(tables, answer.WHATEVER) == {
        "finding": [
            "Robust models are more alike. Holds under every measure: l2 1 against standard, on inverted "
            "images (2 of 2). Measures contradict each other: l2 1 against standard, on natural images "
            "(1 of 2, the opposite by 1)."
        ],
        "nothing": [],
        "warning": [],
    }


def test_names_from_outside_are_text():
    models = models_of(2)
    models["name"] = ["<script>alert(1)</script>", 'a"b&c']
    tables = tables_of(models, similarity_of(models, lambda *_: 0.5))
    text = "".join(sentence.html() for sentence in answer.answer(tables))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
