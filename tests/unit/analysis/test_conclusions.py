"""Conclusions by measure: found where they are planted, nothing where there is nothing, in words that fit."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from modelkin.analysis import conclusions
from modelkin.analysis.conclusions import conclusions_table

DIRECTIONS = {"cka": "similarity", "apart": "distance", "noisy": "similarity"}
LEVELS, ARCHITECTURES = (0.0, 0.5), tuple("abcdef")


def models_of(levels=LEVELS, architectures=ARCHITECTURES):
    rows = [
        {"name": f"{architecture}-{eps}", "structure": architecture, "eps": eps, "norm": "l2"}
        for eps in levels
        for architecture in architectures
    ]
    return pd.DataFrame(rows).assign(same_weights_as=None, at_chance=False, inversion_failed=False)


def similarity_of(models, value, kinds=("natural", "inverted"), measures=("cka", "apart"), stderr=0.01):
    """A similarity table; value(kind, a, b, measure) of rows of models, a distance being 1 - it."""
    rows = []
    for kind, measure in itertools.product(kinds, measures):
        for a, b in itertools.product(models.to_dict("records"), repeat=2):
            if kind == "natural" and a["name"] > b["name"]:
                continue
            found = value(kind, a, b, measure)
            rows.append(
                {
                    "kind": kind,
                    "measure": measure,
                    "model_a": a["name"],
                    "model_b": b["name"],
                    "stderr": stderr,
                }
                | {"value": 1 - found if DIRECTIONS[measure] == "distance" else found}
            )
    return pd.DataFrame(rows)


def planted(seed=0, noise=0.05):
    """Robust images are seen by all as alike, architectures are alike, and one pair is closest."""
    rng = np.random.default_rng(seed)

    def value(kind, a, b, measure):
        found = 0.4 + noise * rng.standard_normal()
        if measure == "noisy":
            return found
        found += 0.2 * (a["structure"] == b["structure"])
        found += 0.15 * (a["eps"] > 0) + 0.05 * (b["eps"] > 0)
        found -= 0.3 * (kind == "inverted")
        return found + ({a["name"], b["name"]} == {"a-0.0", "a-0.5"})

    return value


@pytest.fixture(scope="module")
def found():
    models = models_of()
    rows = similarity_of(models, planted(), measures=tuple(DIRECTIONS))
    return conclusions_table(rows, models, DIRECTIONS)


def test_what_is_planted_is_found_under_the_measures_that_have_it(found):
    assert set(found["conclusion"]) == set(conclusions.CONCLUSIONS)
    with_it = found[found["measure"] != "noisy"]
    # Each of a natural pair's two directions has but one row, so what a sees of b is not told there.
    assert with_it["holds"].eq("yes").all(), with_it[with_it["holds"] != "yes"].to_string()
    without = found[found["measure"] == "noisy"].set_index("conclusion")["holds"]
    assert without[[conclusions.ROBUST, conclusions.SEEN, conclusions.ARCHITECTURE]].eq("undecided").all()
    assert without[conclusions.LESS_ALIKE].eq("undecided").all()
    assert without[conclusions.CLOSEST].eq("opposite").all(), "its noise is above its errors"
    assert found.loc[found["conclusion"] == conclusions.CLOSEST, "under"].eq(conclusions.BOTH).all()
    assert found.loc[found["conclusion"] != conclusions.CLOSEST, "under"].eq(conclusions.SOME).all()
    assert (found["decided"] == 3).all()


def test_effects_are_the_differences_of_means_that_they_are_said_to_be(found):
    models = models_of()
    rows = similarity_of(models, planted(), measures=tuple(DIRECTIONS))
    values = rows.set_index(["kind", "measure", "model_a", "model_b"])["value"]
    of = models.set_index("name")
    pairs = list(itertools.combinations(models["name"], 2))

    def both(kind, measure, a, b):
        sides = [(a, b), (b, a)] if kind == "inverted" else [tuple(sorted((a, b)))]
        mean = np.mean([values[kind, measure, *side] for side in sides])
        return -mean if measure == "apart" else mean

    def mean(kind, measure, wanted):
        return np.mean([both(kind, measure, a, b) for a, b in pairs if wanted(of.loc[a], of.loc[b])])

    by = found.set_index(["conclusion", "kind", "measure"])
    for kind, measure in itertools.product(("natural", "inverted"), ("cka", "apart")):
        robust = by.loc[(conclusions.ROBUST, kind, measure)]
        assert robust["about"] == "l2 0.5 against standard"
        assert robust["effect"] == pytest.approx(
            mean(kind, measure, lambda a, b: a["eps"] > 0 and b["eps"] > 0)
            - mean(kind, measure, lambda a, b: a["eps"] == 0 and b["eps"] == 0)
        )
        assert (robust["models"], robust["pairs"]) == (12, 30)
        # Only pairs of two levels are of one architecture, and they are held against others of two levels.
        alike = by.loc[(conclusions.ARCHITECTURE, kind, measure), "effect"]
        across = [
            mean(
                kind,
                measure,
                lambda a, b, same=same: a["eps"] != b["eps"] and (a["structure"] == b["structure"]) == same,
            )
            for same in (True, False)
        ]
        assert alike == pytest.approx(across[0] - across[1])
    seen = by.loc[(conclusions.SEEN, "inverted", "cka"), "effect"]
    directed = [
        values["inverted", "cka", a, b] - values["inverted", "cka", b, a]
        for a, b in itertools.product(models["name"], repeat=2)
        if of.loc[a, "eps"] > 0 == of.loc[b, "eps"]
    ]
    assert seen == pytest.approx(np.mean(directed))
    assert len(directed) == 36
    assert "natural" not in by.loc[conclusions.SEEN].index
    closest = by.loc[(conclusions.CLOSEST, "natural", "cka")]
    assert closest["about"] == "a-0.0 and a-0.5"
    ranked = sorted((both("natural", "cka", a, b) for a, b in pairs), reverse=True)
    assert closest["effect"] == pytest.approx(ranked[0] - ranked[1])
    # Of all differences at once of 66 pairs: the 95 % point of the range of so many errors.
    draws = np.random.default_rng(0).standard_normal((4000, 66))
    assert closest["effect"] - closest["low"] == pytest.approx(
        0.01 * np.quantile(np.ptp(draws, axis=1), 0.95), rel=0.02
    )


def test_p_is_the_share_of_all_relabellings():
    """Of three models at either level there are 20 relabellings: none can be evidence; of four, 70."""
    for architectures, known in (("abc", False), ("abcd", True)):
        models = models_of(architectures=tuple(architectures))
        rows = similarity_of(models, planted(), kinds=("natural",), measures=("cka",))
        table = conclusions_table(rows, models, DIRECTIONS, permutations=4999)
        row = table.set_index("conclusion").loc[conclusions.ROBUST]
        assert math.isnan(row["low"]), "fewer than five models say nothing of others"
        if not known:
            assert math.isnan(row["p"])
            assert (row["holds"], row["under"], row["decided"]) == ("too few models", "too few models", 0)
            continue
        values = rows.set_index(["model_a", "model_b"])["value"]
        names = list(models["name"])
        effects = []
        for chosen in itertools.combinations(names, 4):
            rest = [name for name in names if name not in chosen]
            first, second = (
                np.mean([values[tuple(sorted(pair))] for pair in itertools.combinations(side, 2)])
                for side in (chosen, rest)
            )
            effects.append(second - first)
        exact = np.mean(np.abs(effects) >= abs(effects[0]) - 1e-9)
        assert row["p"] == pytest.approx(exact, abs=0.01)


def test_where_there_is_nothing_little_is_found():
    """Random matrices: of conclusions that permute models about a twentieth are found, and no more."""
    models = models_of(architectures=tuple("abcdefgh"))
    names = models["name"].to_numpy()
    a, b = np.divmod(np.arange(len(names) ** 2), len(names))
    pairs = pd.DataFrame({"model_a": names[a], "model_b": names[b], "kind": "inverted", "stderr": 0.1})
    said = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        own = rng.standard_normal(len(models))  # pairs that share a model are not independent
        rows = pairs.assign(measure="cka", value=0.1 * (own[a] + own[b] + rng.standard_normal(len(a))))
        said.append(conclusions_table(rows, models, DIRECTIONS, permutations=199, resamples=20))
    whole = pd.concat(said)
    for conclusion in (conclusions.ROBUST, conclusions.SEEN, conclusions.ARCHITECTURE):
        of_one = whole[whole["conclusion"] == conclusion]
        assert len(of_one) == 50
        assert of_one["holds"].isin(["yes", "opposite"]).sum() <= 8, (
            conclusion
        )  # 2.5 expected; p 2e-3 of more
        assert 0.3 < of_one["p"].mean() < 0.7


@pytest.mark.parametrize("choice", [np.argmax, np.argmin, lambda values: 0], ids=["best", "worst", "any"])
def test_of_exchangeable_pairs_none_is_called_the_closest(choice):
    """Neither the pair that the values choose nor another measure's: in a twentieth of studies at most."""
    rng = np.random.default_rng(1)
    errors = np.repeat([0.01, 0.02, 0.03], 15)
    said = []
    for _ in range(400):
        values = 0.5 + errors * rng.standard_normal(len(errors))
        found = conclusions.against_the_best_other(values, errors, int(choice(values)))
        said.append(conclusions.verdict(*found, math.nan))
    assert sum(each != "undecided" for each in said) <= 28  # 20 at the level; p .05 of more


@pytest.mark.parametrize("pairs", [2, 45])
def test_the_interval_of_a_chosen_pair_holds_the_true_difference(pairs):
    """Some pairs are closer than others; the interval of whichever is first holds its own true difference."""
    rng = np.random.default_rng(2)
    truth = np.linspace(0.5, 0.53, pairs)
    errors = np.full(pairs, 0.02)
    missed = 0
    for _ in range(400):
        values = truth + errors * rng.standard_normal(pairs)
        first = int(np.argmax(values))
        _, low, high = conclusions.against_the_best_other(values, errors, first)
        missed += not low <= truth[first] - np.delete(truth, first).max() <= high
    assert missed <= 28


def test_a_pair_that_is_closest_is_found():
    rng = np.random.default_rng(3)
    truth = np.append(np.full(44, 0.5), 0.65)
    found = [
        conclusions.against_the_best_other(truth + 0.02 * rng.standard_normal(45), np.full(45, 0.02), 44)
        for _ in range(100)
    ]
    assert np.mean([conclusions.verdict(*each, math.nan) == "yes" for each in found]) > 0.4
    # of three pairs it is found with less, as fewer could have been it by luck
    truth, errors = np.array([0.5, 0.5, 0.65]), np.full(3, 0.02)
    found = [
        conclusions.against_the_best_other(truth + errors * rng.standard_normal(3), errors, 2)
        for _ in range(100)
    ]
    assert np.mean([conclusions.verdict(*each, math.nan) == "yes" for each in found]) > 0.9


def test_a_pair_whose_error_nobody_knows_is_no_conclusion():
    values, errors = np.array([0.5, 0.6, 0.9]), np.array([0.01, math.nan, 0.01])
    effect, low, high = conclusions.against_the_best_other(values, errors, 2)
    assert effect == pytest.approx(0.3)
    assert math.isnan(low)
    assert math.isnan(high)


def test_what_may_not_stand_in_a_mean_does_not():
    """Copies, models at chance and images of sources that failed move no effect."""
    models = models_of()
    rows = similarity_of(models, planted())
    spoilt = models.assign(
        inversion_failed=models["name"].eq("b-0.5"),
        at_chance=models["name"].eq("c-0.5"),
        same_weights_as=models["name"].map({"d-0.5": "e-0.5"}),
    )
    wrong = rows.assign(
        value=rows["value"].mask(
            rows[["model_a", "model_b"]].isin(["c-0.5", "d-0.5"]).any(axis=1)
            | (rows["kind"].eq("inverted") & rows["model_a"].eq("b-0.5")),
            -9.0,
        )
    )
    left = rows[
        ~rows[["model_a", "model_b"]].isin(["c-0.5", "d-0.5"]).any(axis=1)
        & ~(rows["kind"].eq("inverted") & rows["model_a"].eq("b-0.5"))
    ]
    clean = models[~models["name"].isin(["c-0.5", "d-0.5"])]
    pd.testing.assert_frame_equal(
        conclusions_table(wrong, spoilt, DIRECTIONS), conclusions_table(left, clean, DIRECTIONS)
    )


def test_levels_of_different_norms_are_held_apart():
    models = models_of(levels=(0.0, 0.25, 0.5)).assign(
        norm=lambda rows: rows["eps"].map({0.0: "l2", 0.25: "l2", 0.5: "linf"})
    )
    models.loc[models["eps"] > 0, "eps"] = 0.25
    rows = similarity_of(models, planted(), kinds=("natural",), measures=("cka",))
    table = conclusions_table(rows, models, DIRECTIONS)
    about = table.loc[table["conclusion"] == conclusions.ROBUST, "about"]
    assert list(about) == ["l2 0.25 against standard", "linf 0.25 against standard"]


@pytest.mark.parametrize(
    ("holds", "under"),
    [
        (["yes", "yes"], "every measure"),
        (["yes", "undecided"], "some measures"),
        (["yes", "too few models"], "every measure"),
        (["yes", "opposite"], "measures contradict each other"),
        (["undecided", "opposite"], "no measure"),
        (["too few models"] * 2, "too few models"),
    ],
)
def test_what_measures_say_together(holds, under):
    rows = pd.DataFrame({"holds": holds, "measure": ["m", "n"]})
    rows = rows.assign(conclusion=conclusions.ROBUST, kind="natural", about="", effect=0.0, low=0.0, high=0.0)
    made = conclusions._together(rows.assign(p=0.0, models=2, pairs=1))
    assert set(made["under"]) == {under}
    assert made["decided"].iloc[0] == sum(each != "too few models" for each in holds)


def test_a_study_of_one_model_has_no_conclusions():
    models = models_of(levels=(0.0,), architectures=("a",))
    rows = similarity_of(models, planted())
    table = conclusions_table(rows, models, DIRECTIONS)
    assert len(table) == 0
    assert list(table.columns) == list(conclusions.COLUMNS)


def test_inverted_images_alone_are_held_against_nothing():
    models = models_of()
    rows = similarity_of(models, planted(), kinds=("inverted",), measures=("cka",))
    told = set(conclusions_table(rows, models, DIRECTIONS, permutations=19, resamples=19)["conclusion"])
    assert told == set(conclusions.CONCLUSIONS) - {conclusions.LESS_ALIKE}


def test_pairs_are_those_of_the_means_and_no_others(found):
    """Six models at either level: 36 pairs of two levels, 15 of one, 66 in all."""
    by = found[found["measure"] == "cka"].groupby("conclusion")["pairs"].agg(set)
    assert by[conclusions.SEEN] == {36}
    assert by[conclusions.LESS_ALIKE] == {15}
    assert by[conclusions.ROBUST] == {30}
    assert by[conclusions.CLOSEST] == {66}


def test_a_pair_without_a_value_leaves_the_others_in_the_mean():
    models = models_of()
    rows = similarity_of(models, planted(), measures=("cka",))
    gone = (rows["model_a"] == "a-0.0") & (rows["model_b"] == "b-0.0") & (rows["kind"] == "natural")
    assert gone.sum() == 1
    made = conclusions_table(rows.assign(value=rows["value"].mask(gone)), models, DIRECTIONS)
    row = made.set_index(["conclusion", "kind"]).loc[(conclusions.ROBUST, "natural")]
    natural = rows[(rows["kind"] == "natural") & ~gone & (rows["model_a"] != rows["model_b"])]
    level = natural[["model_a", "model_b"]].map(lambda name: name.rpartition("-")[2])
    means = [
        natural.loc[(level["model_a"] == eps) & (level["model_b"] == eps), "value"].mean()
        for eps in ("0.5", "0.0")
    ]
    assert row["effect"] == pytest.approx(means[0] - means[1])
    assert row["pairs"] == 29


def test_a_model_that_natural_images_do_not_know_is_in_no_difference_of_kinds():
    models = models_of()
    rows = similarity_of(models, planted(), measures=("cka",))
    unknown = (rows[["model_a", "model_b"]] == "f-0.5").any(axis=1) & (rows["kind"] == "natural")
    made = conclusions_table(rows[~unknown], models, DIRECTIONS, permutations=19, resamples=19)
    by = made[made["conclusion"] == conclusions.LESS_ALIKE].set_index("about")["models"]
    assert by.to_dict() == {"standard": 6, "l2 0.5": 5}


def test_the_only_pair_is_not_the_closest_of_any():
    models = models_of(levels=(0.0,), architectures=("a", "b"))
    made = conclusions_table(similarity_of(models, planted()), models, DIRECTIONS)
    assert conclusions.CLOSEST not in set(made["conclusion"])


def test_relabellings_without_a_value_are_not_counted():
    found = np.array([2.0] + [0.1] * 20 + [math.nan] * 19)
    assert conclusions._p(found) == pytest.approx(1 / 21)


def test_no_effect_is_no_conclusion():
    assert conclusions.verdict(0.0, math.nan, math.nan, 0.01) == conclusions.UNDECIDED


def test_architectures_are_permuted_among_models_of_their_level_alone():
    """Levels differ by far more than architectures: models that change levels would hide what is there."""
    models = models_of(architectures="aabbcc").assign(name=list("abcdefghijkl"))

    def value(kind, a, b, measure):
        return 0.2 + 0.3 * (a["eps"] > 0) + 0.3 * (b["eps"] > 0) + 0.02 * (a["structure"] == b["structure"])

    rows = similarity_of(models, value, ("natural",), ("cka",))
    made = conclusions_table(rows, models, DIRECTIONS).set_index("conclusion").loc[conclusions.ARCHITECTURE]
    assert made["effect"] == pytest.approx(0.02)
    assert made["p"] < 0.03
    assert made["holds"] == "yes"


def test_a_robust_level_is_held_against_standard_models_and_no_other_level():
    models = models_of(levels=(0.0, 0.5, 1.0), architectures="abc")
    within = {0.0: 0.1, 0.5: 0.5, 1.0: 0.9}
    across = {(0.5, 0.0): 0.7, (0.0, 0.5): 0.2, (1.0, 0.0): 0.4}

    def value(kind, a, b, measure):
        return within[a["eps"]] if a["eps"] == b["eps"] else across.get((a["eps"], b["eps"]), 0.3)

    rows = similarity_of(models, value, ("inverted",), ("cka",))
    made = conclusions_table(rows, models, DIRECTIONS).set_index(["conclusion", "about"])["effect"]
    robust, seen = (made[name] for name in (conclusions.ROBUST, conclusions.SEEN))
    assert len(robust) == len(seen) == 2
    assert robust.tolist() == pytest.approx([0.4, 0.8])
    assert seen.tolist() == pytest.approx([0.5, 0.1])


def test_without_a_model_an_interval_knows_nothing_of_its_pairs():
    """A third of the resamples are without the only model whose images show less inverted."""
    models = models_of(levels=(0.0,), architectures="abcdef")

    def value(kind, a, b, measure):
        return 0.5 + (kind == "natural") * ("a-0.0" in (a["name"], b["name"]))

    rows = similarity_of(models, value, measures=("cka",))
    made = conclusions_table(rows, models, DIRECTIONS).set_index("conclusion").loc[conclusions.LESS_ALIKE]
    assert made["effect"] == pytest.approx(1 / 3)
    assert made["low"] == pytest.approx(0)
    assert made["holds"] == "undecided"
