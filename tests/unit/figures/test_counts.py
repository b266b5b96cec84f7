"""Every count that a figure states is that of the rows it draws."""

import itertools

import numpy as np
import pandas as pd
import pytest

from modelkin import figures
from modelkin.analysis import correlations, left_out, relations, tables
from modelkin.figures import base, layer_epoch_pairs, layer_epochs, layer_maps, layer_transfer

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
    return below(figures.get(name).draw(data, SETTINGS))


def below(drawn):
    """What is said below a figure or a table."""
    if isinstance(drawn, base.TablePage):
        return drawn.note
    base.plt.close(drawn)
    return drawn.get_supxlabel()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("robustness", "10 to 13 natural images, 20 inverted images"),
        ("levels", "pairs of a level: 1 to 3 natural, 2 to 4 inverted"),
        ("asymmetry", "n = 20 images"),
        ("relations", "initialisation: 9 to 10"),
        ("saliency", "n = 10 to 13 natural images"),
    ],
)
def test_a_footnote_counts_what_is_drawn(name, said):
    assert said in footnote(name)


def test_figures_of_inversions_say_how_many_images_took_a_second_try():
    """In a study that has one; the mean is over all of its models, imported ones aside."""
    facts = dict.fromkeys(("clean_accuracy", "adversarial_accuracy", "inversion_median_loss"), 0.5)
    models = MODELS.assign(**facts)
    again = models.assign(inversion_rescued=[0.0, 0.5, np.nan, 0.3, 0.0])
    assert "second try" not in footnote("accuracy", models=models)
    assert footnote("accuracy", models=again) == (
        "no inversion failed; 20% of all images at a second try, of 2 of 4 models, up to 50% of one's"
    )
    none = models.assign(inversion_rescued=0.0)
    assert footnote("accuracy", models=none).endswith("; no image at a second try")


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


@pytest.mark.parametrize("name", ["importance", "keywords"])
def test_a_figure_of_components_names_the_copies_that_are_left_out(name):
    base.style()
    about = {"measure": ["linear_cka"], "kind": ["natural"]}
    made = {
        "component_importance": about
        | {"component": "stem", "varies": True}
        | dict.fromkeys(("importance", "importance_sd", "importance_null"), 0.1),
        "component_scores": about | {"r2_fitted": 0.5, "r2_new_models": 0.1, "pairs": 6, "models": 4},
        "clusters": about | {"model": "a", "cluster": 0},
        "component_keywords": about | {"cluster": 0, "rank": 1, "keyword": "stem: x", "weight": 0.2},
    }
    made = {table: pd.DataFrame(columns) for table, columns in made.items()}
    for copied, said in (("a", "; without c, copies of other models"), (None, "")):
        models = MODELS.assign(same_weights_as=[None, None, copied, None, None])
        drawn = figures.get(name).draw(made | {"models": models}, SETTINGS, "linear_cka")
        assert below(drawn).partition("; without")[1:] == said.partition("; without")[1:]


@pytest.mark.parametrize("name", ["robustness", "levels", "asymmetry"])
def test_levels_of_several_norms_have_their_norms_on_the_axis(name):
    mixed = MODELS.assign(eps=[0.0, 0.25, 0.25, 0.25, 0.25], norm=["l2", "l2", "l2", "linf", "linf"])
    rows = similarity()
    base.style()
    made = {"models": mixed, "similarity": rows, "summary": tables.summary(rows, mixed)}
    drawn = figures.get(name).draw(made | {"asymmetry": tables.asymmetry(rows, mixed)}, SETTINGS)
    base.plt.close(drawn)
    written = [label.get_text() for label in drawn.axes[0].get_xticklabels()]
    # The one standard model makes no pair.
    assert written == ["0", "l2 0.25", "linf 0.25"][name == "levels" :]


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
    base.plt.close("all")
    said = drawn.note if figures.get(name).as_table else drawn.axes[0].texts[0].get_text()
    assert said == f"too few models have a value: {few}, and this means something from {few + 1} on"


def test_importance_of_two_models_is_a_line_too():
    base.style()
    drawn = base.draw_measure(figures.get("importance"), {"models": MODELS[:2]}, SETTINGS, "linear_cka")
    base.plt.close(drawn)
    assert drawn.axes[0].texts[0].get_text().startswith("too few models")


def test_saliency_of_models_of_distinct_levels_is_drawn():
    distinct = MODELS.assign(eps=[0.0, 0.1, 0.2, 0.3, 0.4])
    assert "natural images" in footnote("saliency", models=distinct)


def test_means_of_saliency_are_of_one_level_and_of_no_copy():
    """Six pairs of four models, the fifth a copy; the level of two has one pair, and no mean."""
    base.style()
    rows = similarity("saliency_cosine").query("kind == 'natural'")
    models = pd.concat([MODELS, MODELS[:2].assign(name=["f", "g"])], ignore_index=True)
    models = models.assign(eps=[0.0] * 5 + [0.25] * 2, same_weights_as=[None] * 4 + ["a", None, None])
    more = pd.DataFrame([("f", "g"), ("a", "f"), ("f", "f"), ("g", "g")], columns=["model_a", "model_b"])
    more = more.assign(kind="natural", measure="saliency_cosine", n=10, value=0.3, chance=0.5, stderr=0.1)
    rows = pd.concat([rows, more.assign(source=more["model_a"])], ignore_index=True)
    apart = rows["model_a"] != rows["model_b"]
    of_copy = rows[["model_a", "model_b"]].eq("e").any(axis=1)
    rows.loc[apart & ~of_copy, "value"] = np.linspace(0.2, 0.5, int((apart & ~of_copy).sum()))
    rows.loc[of_copy, ["value", "chance"]] = 9.0
    rows = rows.assign(ci_low=rows["value"] - 0.1, ci_high=rows["value"] + 0.1)
    drawn = figures.get("saliency").draw({"models": models, "similarity": rows}, SETTINGS)
    base.plt.close(drawn)
    left = drawn.axes[0]
    kept = rows[apart & rows["model_a"].isin(list("abcd")) & rows["model_b"].isin(list("abcd"))]
    assert len(kept) == 6
    means = [each for each in left.collections if each.get_linewidths().tolist() == [1.5]]
    assert [float(each.get_segments()[0][0, 1]) for each in means] == [pytest.approx(kept["value"].mean())]
    of_chance = [line.get_ydata()[0] for line in left.lines if line.get_linestyle() == ":"]
    assert of_chance == [pytest.approx((6 * 0.1 + 0.5) / 7)]


def test_images_of_failed_sources_are_not_counted_where_they_are_not_drawn():
    rows = failed_rows("d")
    rows.loc[rows["inversion_failed"], "n"] = 99
    said = footnote("asymmetry", similarity=rows, asymmetry=tables.asymmetry(rows, MODELS))
    assert "n = 20 images" in said
    assert "without the inverted images of 1 of 5 models" in said


def outcomes(outcome, student=None, **columns):
    """A table with an outcome of every pair, or of those with a student, and its correlations."""
    pairs = [pair for pair in itertools.combinations(NAMES, 2) if student in (None, *pair)]
    table = pd.DataFrame(pairs, columns=["model_a", "model_b"]).assign(**columns)
    known = correlations.with_similarity(table, similarity(), outcome, resamples=9, permutations=9)
    return table, known.assign(teachers="all")


def test_ensembles_count_the_pairs_that_have_both_a_gain_and_a_value():
    gains = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, np.nan]
    table, known = outcomes("error_reduction_rate", error_reduction_rate=gains)
    given = {"ensemble_pairs": table, "ensemble_correlations": known}
    # Of ten pairs one has no gain, and a and b no value on inverted images.
    assert footnote("ensembles", **given).startswith("8 to 9 pairs")
    rows = failed_rows("d")
    assert "images of 1 of 5 models" in footnote("ensembles", similarity=rows, **given)
    copied = MODELS.assign(same_weights_as=[None, None, None, "a", None])
    said = footnote("ensembles", models=copied, similarity=rows, **given)
    assert said.startswith("5 to 6 pairs")
    assert "hollow" not in said, "the copy, whose inversion failed, is not drawn"


def test_distillation_counts_the_teachers_that_are_drawn():
    table, known = outcomes(
        "student_accuracy", "e", student_accuracy=[0.1, 0.2, 0.3, np.nan], repeats=[2, 2, 2, 5]
    )
    said = footnote("distillation", distillation=table, distillation_correlations=known)
    assert said.startswith("3 teachers, mean of 2 students each")


@pytest.mark.parametrize(("fewer", "most"), [(3, 4), (5, 5)])
def test_diversity_says_the_most_draws_that_a_point_has(fewer, most):
    about = {"members": 2, "error": 0.1, "error_reduction_rate": 0.2, "all_wrong": 0.1, "models": "a,b"}
    given = {
        "ensemble_clusters": pd.DataFrame([about | {"clusters": 1}] * 4),
        "ensemble_relations": pd.DataFrame([about | {"relation": "initialisation"}] * fewer),
    }
    assert f"at most {most} draws" in footnote("diversity", **given)


def drawn_ensembles(draws):
    """Draws of two of so many models, of one cluster and of one relation, with the error of each draw."""
    pairs = list(itertools.combinations(draws, 2))
    made = pd.DataFrame(
        {"models": [f"{a},{b}" for a, b in pairs], "error": np.linspace(0.1, 0.3, len(pairs))}
    )
    return made.assign(members=2, error_reduction_rate=made["error"] * 2, all_wrong=0.1)


@pytest.mark.parametrize("name", ["diversity", "choices"])
def test_a_mean_over_draws_has_its_interval_over_models(name):
    """And none where too few models say how sure it is, however many the draws."""
    base.style()
    many, few = drawn_ensembles("abcdef").assign(clusters=2), drawn_ensembles("abcd").assign(clusters=1)
    clusters = pd.concat([few] * 50 + [many])
    outcome = "error" if name == "diversity" else "error_reduction_rate"
    related = many.assign(relation="initialisation")
    choices = pd.DataFrame(
        {"measure": ["linear_cka"], "kind": "natural", "members": 2, "left_out": "", "models": "a,b"}
        | dict.fromkeys(("random_err_mean", "random_err_sd", "error_reduction_rate"), 0.1)
    )
    given = {"ensemble_clusters": clusters, "ensemble_relations": related, "ensemble_choices": choices}
    drawn = figures.get(name).draw(given | {"models": MODELS}, {"palette": "colorblind"})
    base.plt.close(drawn)
    assert "interval over models" in drawn.get_supxlabel()
    segments = [bar for each in drawn.axes[0].collections for bar in each.get_segments()]
    known = [bar[:, 1] for bar in segments if len(bar)]
    assert known == [pytest.approx(left_out.interval(many[outcome], many["models"]))]
    low, high = known[0]
    assert low < many[outcome].mean() < high


@pytest.mark.parametrize("name", ["diversity", "choices"])
def test_a_study_of_copies_has_words_for_its_ensembles(name):
    base.style()
    empty = {f"ensemble_{of}": pd.DataFrame() for of in ("clusters", "relations", "choices")}
    drawn = figures.get(name).draw(empty | {"models": MODELS}, {"palette": "colorblind"})
    base.plt.close(drawn)
    assert drawn.axes[0].texts[0].get_text().startswith("too few models that are no copies")


def test_below_five_pairs_no_box_is_drawn():
    """Of four models of a level there are six pairs, of three there are three."""
    base.style()
    for eps, boxes in (([0.0] * 4 + [0.25], 2), ([0.0] * 3 + [0.25] * 2, 0)):
        models = MODELS.assign(eps=eps)
        drawn = figures.get("levels").draw({"models": models, "similarity": similarity()}, SETTINGS)
        base.plt.close(drawn)
        axis = drawn.axes[0]
        assert len(axis.patches) == boxes, "natural and inverted"
        points = sum(len(each.get_offsets()) for each in axis.collections)
        # a and b have no value on inverted images.
        assert points == (0 if boxes else 3 + 1 + 4 + 2)


def test_a_level_of_one_model_is_no_empty_column():
    base.style()
    models = MODELS.assign(eps=[0.0] * 4 + [0.25])
    drawn = figures.get("levels").draw({"models": models, "similarity": similarity()}, SETTINGS)
    base.plt.close(drawn)
    assert [label.get_text() for label in drawn.axes[0].get_xticklabels()] == ["0"]
    assert "no two models with a value: 0.25" in drawn.get_supxlabel()
    assert "no two models" not in footnote("levels")


@pytest.mark.parametrize(("count", "marks"), [(4, 0), (5, 1)])
def test_a_mean_with_a_spread_is_that_of_five_or_more(count, marks):
    base.style()
    _, axis = base.plt.subplots()
    values = np.arange(count) / 10
    base.strip(axis, [values, values[:1]], {"color": "k", "marker": "o"})
    base.plt.close(axis.figure)
    line, _, (spreads,) = axis.containers[0].lines
    means, bars = np.asarray(line.get_ydata(), float), spreads.get_segments()
    assert np.isfinite(means).tolist() == [bool(marks), False]
    if marks:
        assert means[0] == pytest.approx(0.2)
        assert np.diff(bars[0][:, 1]) == pytest.approx(2 * np.std(values, ddof=1))
    points = [each.get_offsets() for each in axis.collections[:2]]
    assert [len(each) for each in points] == [count, 1], "the values themselves always stand there"


def test_a_null_of_means_stands_beside_means_alone():
    """Two models of another architecture: one pair of the one relation, three of the other, six across."""
    base.style()
    models = MODELS.assign(structure=list("aaabb"))
    rows = similarity().assign(value=lambda each: np.linspace(0, 1, len(each)))
    known = relations.relation_similarities(rows, models, permutations=19)
    data = {"models": models, "similarity": rows, "relations": known}
    drawn = figures.get("relations").draw(data, SETTINGS)
    base.plt.close(drawn)
    bands = [each for each in drawn.axes[0].collections if each.get_linewidths().tolist() == [5.0]]
    assert len(bands) == 2
    for band in bands:
        drawn = [len(bar) > 0 for bar in band.get_segments()]
        assert drawn == [False, True], "initialisation has four pairs, architecture six"


def test_a_heatmap_counts_the_images_of_the_pairs_that_have_a_value():
    base.style()
    drawn = figures.get("heatmaps").draw(
        {"models": MODELS, "similarity": similarity()}, SETTINGS, "linear_cka"
    )
    base.plt.close(drawn)
    titles = [axis.get_title() for axis in drawn.axes]
    assert titles[:2] == [
        "natural images\nn = 10 to 14, chance 0.10",
        "inverted images\nn = 20, chance 0.10",
    ]


def test_a_copy_is_no_other_start_among_distances():
    base.style()
    places = pd.DataFrame({"model": NAMES, "cluster": [0, 0, 0, 1, 1]})
    features = pd.DataFrame({"model": NAMES * 2, "rank": [1] * 5 + [2] * 5, "value": np.arange(10.0)})
    about = {"measure": "linear_cka", "kind": "natural"}
    given = {"clusters": places.assign(**about), "spectral_features": features.assign(**about)}
    for copied, said, note in (
        ([None] * 5, "initialisation\n10", ""),
        ([None, None, "a", None, None], "initialisation\n6", "; without c, copies of other models"),
    ):
        models = MODELS.assign(same_weights_as=copied)
        drawn = figures.get("spectral_distances").draw(given | {"models": models}, SETTINGS, "linear_cka")
        base.plt.close(drawn)
        assert [text.get_text() for text in drawn.axes[1].get_xticklabels()] == [said]
        assert drawn.get_supxlabel().endswith("standard deviation" + note)


# Figures of layers draw some of their table's rows.


def layer_tables():
    """Two models, e of a higher count in a part of each table that no figure draws."""
    cells = [
        {"model_a": a, "model_b": b, "layer_a": one, "layer_b": two, "n": 30 + 5 * (a != b), "kind": kind}
        for kind in ("natural", "adversarial")
        for a, b in (("d", "d"), ("a", "d"))
        for one in ("conv", "fc")
        for two in ("conv", "fc")
    ]
    maps = pd.DataFrame(cells).assign(
        kind_a="natural", measure="layer_cka", value=0.5, chance=0.0, snapshot=pd.NA, source="d"
    )
    summary = maps.drop_duplicates(["model_a", "model_b", "kind"]).assign(
        statistic="off_diagonal", ci_low=0.4, ci_high=0.6, untrained=0.1
    )
    layers = pd.DataFrame(
        [
            {"model": name, "layer": layer, "stage": 0, "block_end": False, "cut_point": True}
            for name in NAMES
            for layer in ("conv", "fc")
        ]
    )
    hidden = maps.assign(snapshot=3, n=99)
    return {"layer_maps": pd.concat([maps, hidden]), "layer_summary": summary, "layers": layers}


def test_layer_maps_count_the_images_of_the_maps_that_are_drawn(monkeypatch):
    assert footnote("layer_maps", **layer_tables()).startswith("30 to 35 images")
    monkeypatch.setattr(layer_maps, "MOST", 1)
    assert footnote("layer_maps", **layer_tables()).startswith("30 images")


def test_attacks_by_depth_count_the_images_of_the_attacks():
    rows = pd.DataFrame(
        [
            {"model": name, "kind": kind, "depth": depth, "n": n}
            for name in "ad"
            for depth in (0.0, 1.0)
            for kind, n in (("adversarial", 40 + 2 * (name == "d")), ("natural", 99))
        ]
    ).assign(
        measure="layer_cka",
        value=0.5,
        ci_low=0.4,
        ci_high=0.6,
        untrained=0.1,
        accuracy=0.9,
        robust_accuracy=0.1,
    )
    assert footnote("layer_adversarial", layer_adversarial=rows).startswith("40 to 42 images")


def test_epochs_count_the_images_of_the_models_that_are_drawn(monkeypatch):
    rows = pd.DataFrame(
        [
            {"model": name, "layer": layer, "epoch": epoch, "epoch_a": epoch, "epoch_b": other, "n": n}
            for name, n in zip("abc", (20, 25, 99), strict=True)
            for layer in ("conv", "fc")
            for epoch in (1, 2)
            for other in (1, 2)
        ]
    ).assign(best_epoch=1, to_last=0.5, to_last_stderr=0.1, block_end=False, value=0.5, chance=0.0)
    losses = pd.DataFrame({"model": list("abc"), "epoch": 1}).assign(
        train_loss=1.0, test_loss=1.0, train_adversarial_loss=1.0, test_adversarial_loss=1.0
    )
    for figure in (layer_epochs, layer_epoch_pairs):
        monkeypatch.setattr(figure, "MOST", 2)
    assert footnote("layer_epochs", layer_epochs=rows, training_epochs=losses).startswith("20 to 25 images")
    assert footnote("layer_epoch_pairs", layer_epoch_pairs=rows).startswith("20 to 25 images")


def test_transfer_counts_the_images_of_the_maps_that_are_drawn():
    thirds = {f"cka_{third}": [0.5] for third in layer_transfer.THIRDS}
    transfer = pd.DataFrame(
        {
            "source": ["d"],
            "target": ["a"],
            "source_eps": [0.25],
            "target_eps": [0.0],
            "kind": ["adversarial"],
            "measure": "layer_cka",
            "accuracy": [0.9],
            "robust_accuracy": [0.2],
            **thirds,
        }
    )
    ranks = pd.DataFrame({"third": layer_transfer.THIRDS, "kind": "adversarial", "measure": "layer_cka"})
    ranks = ranks.assign(spearman_adversarial=np.nan, spearman_natural=np.nan)
    said = footnote("layer_transfer", layer_transfer=transfer, layer_transfer_ranks=ranks, **layer_tables())
    assert said.startswith("35 images"), "not those of maps within a model"
