"""What a panel draws is of its own measure, kind of probe and level, and of no copy."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from modelkin import figures
from modelkin.analysis import correlations, relations, tables
from modelkin.figures import base

SETTINGS = {"palette": "colorblind", "order": "level"}
MEASURES = ["linear_cka", "procrustes"]
NAMES = [*"abcdefghi"]
# Four standard models and their copy, two against each of two norms; the inversion of b failed.
MODELS = pd.DataFrame(
    {
        **{"name": NAMES, "architecture": "vgg", "regime": "standard", "hyper_parameters": ""},
        **{"eps": [0.0] * 4 + [0.25] * 4 + [0.0], "norm": ["l2"] * 6 + ["linf"] * 2 + ["l2"]},
        **{"structure": ["vgg"] * 5 + ["mlp"] * 4, "source": "train", "at_chance": False, "evaluated": 40},
        **{"inversion_failed": [False, True] + [False] * 7, "same_weights_as": [None] * 8 + ["a"]},
    }
)
FAILED = ("b", "inverted")


def similarity(seed=0):
    """On 40 images, but for a copy's pairs, models with themselves and the images of a failed inversion."""
    rng, rows = np.random.default_rng(seed), []
    for measure, kind in itertools.product(MEASURES, ("natural", "inverted")):
        for a, b in itertools.product(NAMES, repeat=2):
            if kind == "inverted" or a <= b:
                value = rng.uniform(0.1, 0.9)
                rows.append(
                    {
                        **{"kind": kind, "source": a, "model_a": a, "model_b": b, "measure": measure},
                        **{"value": value, "stderr": 0.01, "chance": value / 10},
                        "n": 99 if "i" in (a, b) else 55 if a == b else 66 if (a, kind) == FAILED else 40,
                        **{"ci_low": value - 0.02, "ci_high": value + 0.02, "attack_success": np.nan},
                        "inversion_success": 0.9 if kind == "inverted" else np.nan,
                        "inversion_failed": kind == "inverted" and a == "b",
                    }
                )
    return pd.DataFrame(rows)


def drawn(name, rows, models=MODELS):
    """The panels of a figure of what follows from these rows."""
    return whole(name, rows, models).axes


def whole(name, rows, models=MODELS):
    base.style()
    made = {
        "summary": lambda: tables.summary(rows, models),
        "asymmetry": lambda: tables.asymmetry(rows, models),
        "relations": lambda: relations.relation_similarities(rows, models, permutations=19),
        "ensemble_pairs": lambda: gains(models),
        "ensemble_correlations": lambda: correlations.with_similarity(
            tables.of_distinct(gains(models), models),
            rows,
            "error_reduction_rate",
            resamples=5,
            permutations=5,
        ),
    }
    wanted = [table for table in figures.get(name).tables if table in made]
    data = {"models": models, "similarity": rows} | {table: made[table]() for table in wanted}
    figure = figures.get(name).draw(data, SETTINGS)
    base.plt.close(figure)
    return figure


def gains(models):
    """Of each two models, the same whichever others there are."""
    pairs = [pair for pair in itertools.combinations(NAMES, 2) if set(pair) <= set(models["name"])]
    return pd.DataFrame(pairs, columns=["model_a", "model_b"]).assign(
        error_reduction_rate=lambda each: [ord(a) * 0.001 + ord(b) * 0.002 for a, b in pairs]
    )


def marks(axis):
    """(colours, numbers) of all that an axis shows of its data; what is not filled is "hollow" first."""
    found = [
        (("hollow" if line.get_mfc() == "none" else line.get_color(), line.get_mec()), line.get_xydata())
        for line in axis.lines
    ]
    for each in axis.collections:
        filled = list(map(tuple, each.get_facecolor()))
        hollow = [] if filled or hasattr(each, "get_segments") else ["hollow"]
        of = (*hollow, *filled, *map(tuple, each.get_edgecolor()))
        found += [(of, part) for part in getattr(each, "get_segments", list)()] + [(of, each.get_offsets())]
    found += [((each.get_facecolor(),), each.get_path().vertices) for each in axis.patches]
    found += [((), image.get_array()) for image in axis.images]
    return [(of, np.ma.filled(np.ma.asarray(numbers, dtype=float), np.nan)) for of, numbers in found]


def assert_the_same(one, other):
    first, second = marks(one), marks(other)
    assert len(first) == len(second)
    assert any(len(numbers) for _, numbers in first)
    for (_, a), (_, b) in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


BY_MEASURE = ["robustness", "asymmetry", "levels", "relations", "ensembles"]


@pytest.mark.parametrize("name", BY_MEASURE)
def test_a_panel_is_of_its_measure_alone(name):
    rows = similarity()
    both = drawn(name, rows)
    for place, measure in enumerate(MEASURES):
        alone = drawn(name, rows[rows["measure"] == measure].reset_index(drop=True))
        assert both[place].get_title() == alone[0].get_title()
        assert_the_same(both[place], alone[0])


@pytest.mark.parametrize("name", BY_MEASURE)
def test_a_copy_moves_no_mark(name):
    rows, single = similarity(), MODELS.query("name != 'i'")
    without = rows[(rows["model_a"] != "i") & (rows["model_b"] != "i")].reset_index(drop=True)
    for one, other in zip(drawn(name, rows), drawn(name, without, single), strict=True):
        assert_the_same(one, other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("robustness", "40 natural images, 40 to 66 inverted images"),
        ("asymmetry", "n = 40 images"),
        ("levels", "pairs of a level: 1 to 6 natural, 2 to 9 inverted"),
        ("relations", "initialisation: 9 to 13, architecture: 12 to 15"),
        ("ensembles", "28 pairs"),
    ],
)
def test_what_is_in_no_mark_is_in_no_count(name, said):
    assert said in whole(name, similarity()).get_supxlabel()


def test_a_copy_is_no_pair_of_a_level_where_models_look():
    rows = similarity().query("measure == 'linear_cka' and kind == 'natural'")
    rows = rows.assign(measure="saliency_cosine").reset_index(drop=True)
    without = rows[(rows["model_a"] != "i") & (rows["model_b"] != "i")].reset_index(drop=True)
    assert_the_same(drawn("saliency", rows)[0], drawn("saliency", without, MODELS.query("name != 'i'"))[0])


@pytest.mark.parametrize("name", ["robustness", "levels", "relations", "ensembles"])
def test_marks_of_a_kind_are_of_its_values(name):
    """Other values on inverted images move marks of their colour, and no mark of the other's."""
    rows, other = similarity(), similarity(1)
    mixed = other.where(other["kind"] == "inverted", rows)
    looks = base.kind_looks(rows, SETTINGS["palette"])
    natural, inverted = (colors.to_rgb(looks[kind]["color"]) for kind in ("natural", "inverted"))
    moved = {natural: 0, inverted: 0}
    for one, two in zip(drawn(name, rows), drawn(name, mixed), strict=True):
        for (of, a), (_, b) in zip(marks(one), marks(two), strict=True):
            same = np.allclose(a, b, atol=1e-12, equal_nan=True)
            for colour in {colors.to_rgb(each) for each in of if each != "hollow"} & set(moved):
                moved[colour] += not same
    assert moved[natural] == 0
    assert moved[inverted] > 0


@pytest.mark.parametrize("name", ["robustness", "levels"])
def test_marks_of_a_level_are_of_its_pairs(name):
    """Of the radius .25 there are two levels, and pairs across levels are of none."""
    rows = similarity()
    among = rows[["model_a", "model_b"]].isin(["g", "h"])
    for moved, places in ((among.all(axis=1), {2}), (among.sum(axis=1) == 1, set())):
        here = moved & (rows["model_a"] != rows["model_b"])
        changed = rows.assign(value=rows["value"].where(~here, 0.05), chance=rows["chance"].where(~here, 0))
        found = set()
        for one, two in zip(drawn(name, rows), drawn(name, changed), strict=True):
            for (_, a), (_, b) in zip(marks(one), marks(two), strict=True):
                if not a.size:
                    continue
                apart = ~np.isclose(a, b, atol=1e-12, equal_nan=True).all(axis=-1)
                found |= set(np.round(a[apart][:, 0]).astype(int))
        assert found == places


@pytest.mark.parametrize("name", ["robustness", "levels", "relations"])
def test_a_failed_source_moves_hollow_marks_alone(name):
    rows = similarity()
    changed = rows.assign(value=rows["value"].where(~rows["inversion_failed"], 0.05))
    moved = []
    for one, two in zip(drawn(name, rows), drawn(name, changed), strict=True):
        for (of, a), (_, b) in zip(marks(one), marks(two), strict=True):
            if not np.allclose(a, b, atol=1e-12, equal_nan=True):
                moved.append(of)
    assert moved
    hollow = [of[0] == "hollow" for of in moved]
    assert all(hollow), moved


def test_cells_of_source_and_observer_are_of_their_levels():
    """The source is the model whose images they are: rows; pairs of one model with itself are in no cell."""
    rows = similarity()
    whole = drawn("asymmetry", rows)[0].images[0].get_array()
    for where, cells in (
        (rows["model_a"].isin(["g", "h"]) & rows["model_b"].isin(["e", "f"]), [(2, 1)]),
        (rows["model_a"] == rows["model_b"], []),
        (rows["kind"] == "natural", []),
        (rows["inversion_failed"], []),
    ):
        other = drawn("asymmetry", rows.assign(value=rows["value"].where(~where, 0.05)))[0]
        changed = ~np.isclose(whole, other.images[0].get_array())
        assert list(map(tuple, np.argwhere(changed).tolist())) == cells


def of_ensembles(**keys):
    """Draws of two members and of three, with gains of their own for each value of the keys."""
    made, number = [], 0
    for about in itertools.product([2, 3], *keys.values()):
        for draw in range(3):
            number += 1
            models = ",".join("abcdef"[(draw + i) % 6] for i in range(about[0]))
            made.append(dict(zip(["members", *keys], about, strict=True)) | {"draw": draw, "models": models})
            made[-1] |= {"error": number / 100, "error_reduction_rate": number / 50, "all_wrong": 0.1}
    return pd.DataFrame(made)


def lines_of(axis):
    """What stands at each place of the lines with a mark, by label."""
    handles, labels = axis.get_legend_handles_labels()
    found = [getattr(handle, "lines", [handle])[0] for handle in handles]
    return {label: line.get_xydata() for label, line in zip(labels, found, strict=True)}


def test_a_mean_of_draws_is_of_its_members_and_clusters():
    base.style()
    clusters = of_ensembles(clusters=[1, 2])
    related = of_ensembles(relation=["initialisation", "architecture"])
    choices = pd.DataFrame(
        {"measure": "linear_cka", "kind": ["natural", "inverted"] * 2, "members": [2, 2, 3, 3]}
        | {"left_out": ["a", "", "a", ""], "error_reduction_rate": [0.1, 0.2, 0.3, 0.4]}
        | {"random_err_mean": [0.5, 0.6, 0.7, 0.8], "random_err_sd": 0.01}
    )
    data = {"models": MODELS, "ensemble_clusters": clusters, "ensemble_relations": related}
    drawn = figures.get("choices").draw(data | {"ensemble_choices": choices}, SETTINGS)
    base.plt.close(drawn)
    means = clusters.groupby(["members", "clusters"])["error_reduction_rate"].mean()
    for label, line in lines_of(drawn.axes[0]).items():
        assert line[:, 1] == pytest.approx(means[int(label)].to_numpy())
    for axis, points, middle in zip(drawn.axes[1:], ([0.1, 0.2], [0.3, 0.4]), (0.6, 0.8), strict=True):
        dashed, marked = axis.lines
        assert marked.get_xdata() == pytest.approx(points)
        assert dashed.get_xdata() == pytest.approx([middle] * 2), "of sets of all models"

    drawn = figures.get("diversity").draw(data, SETTINGS)
    base.plt.close(drawn)
    for row, (rows, by) in enumerate(((clusters, "clusters"), (related, "relation"))):
        for column, outcome in enumerate(("error", "error_reduction_rate")):
            axis = drawn.axes[3 * row + column]
            for key, line in zip(dict.fromkeys(rows[by]), axis.lines, strict=True):
                wanted = rows[rows[by] == key].groupby("members")[outcome].mean()
                assert line.get_ydata() == pytest.approx(wanted.to_numpy()), key


def test_chance_above_a_square_is_of_its_kind_and_measure():
    base.style()
    rows = similarity()
    for number, (_, part) in enumerate(rows.groupby(["measure", "kind"], sort=False), start=1):
        rows.loc[part.index, "chance"] = number / 10
    for measure, said in zip(MEASURES, (("0.10", "0.20"), ("0.30", "0.40")), strict=True):
        drawn = figures.get("heatmaps").draw({"models": MODELS, "similarity": rows}, SETTINGS, measure)
        base.plt.close(drawn)
        assert [axis.get_title().split("chance ")[1] for axis in drawn.axes[:2]] == list(said)
        for axis, kind in zip(drawn.axes, ("natural", "inverted"), strict=False):
            part = rows[(rows["measure"] == measure) & (rows["kind"] == kind)]
            grid = part.pivot_table(index="model_a", columns="model_b", values="value")
            order = [label.get_text().rstrip("*") for label in axis.get_xticklabels()]
            wanted = grid.combine_first(grid.T).loc[order, order]
            np.testing.assert_allclose(np.asarray(axis.images[0].get_array()), wanted)


def test_importances_are_of_their_kind_and_of_components_that_vary():
    base.style()
    kinds = ["natural", "inverted"]
    rows = pd.DataFrame(
        [
            {"measure": measure, "kind": kind, "component": name, "varies": name != "stem"}
            for measure, kind, name in itertools.product(MEASURES, kinds, ["stem", "head", "norm"])
        ]
    )
    rows = rows.assign(importance=np.arange(12) / 20, importance_sd=0.01, importance_null=np.arange(12) / 99)
    about = {"r2_fitted": 0.5, "r2_new_models": 0.4, "pairs": 10, "models": 5}
    scores = pd.DataFrame(
        [{"measure": measure, "kind": kind, **about} for measure in MEASURES for kind in kinds]
    )
    data = {"models": MODELS, "component_importance": rows, "component_scores": scores}
    for measure in MEASURES:
        drawn = figures.get("importance").draw(data, SETTINGS, measure)
        base.plt.close(drawn)
        for axis, kind in zip(drawn.axes, kinds, strict=True):
            part = rows[(rows["measure"] == measure) & (rows["kind"] == kind) & rows["varies"]].iloc[::-1]
            assert [bar.get_width() for bar in axis.patches] == pytest.approx(list(part["importance"]))
            assert [label.get_text() for label in axis.get_yticklabels()] == list(part["component"])
            nulls = [line.get_xdata() for line in axis.lines if line.get_marker() == "|"]
            assert nulls[-1] == pytest.approx(part["importance_null"].to_numpy())


@pytest.mark.parametrize(("copied", "drawn"), [("e", False), (None, True)])
def test_a_copy_is_no_model_that_clusters_are_drawn_from(copied, drawn):
    """As many models as the figure needs are enough; with a copy among them they are one too few."""
    figure = figures.get("t_sne")
    names = list("abce")[: figure.fewest]
    models = MODELS[MODELS["name"].isin(names)].assign(same_weights_as=None)
    models.loc[models["name"] == copied, "same_weights_as"] = "a"
    places = pd.DataFrame({"measure": "linear_cka", "kind": "natural", "model": names, "cluster": 0})
    places = places.assign(x=0.0, y=0.0, t_sne_x=np.arange(len(names)), t_sne_y=0.0)
    made = base.draw_measure(figure, {"models": models, "clusters": places}, SETTINGS, "linear_cka")
    base.plt.close(made)
    said = [text.get_text() for text in made.axes[0].texts]
    assert any("too few" in text or "no clusters" in text for text in said) != drawn
