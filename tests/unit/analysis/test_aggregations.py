"""Every mean over pairs by its definition, in loops, on a study that has all that must not be in one."""

import itertools
import math
import statistics

import numpy as np
import pandas as pd
import pytest

from modelkin.analysis import level_means, relations, tables

NAMES = list("abcdefghij")
RETIRED = "z"
# a copy (c of a), one at chance (d), two whose inversion failed (b, g), and levels of two norms
MODELS = pd.DataFrame(
    {
        "name": NAMES,
        "eps": [0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5],
        "norm": ["l2"] * 5 + ["l2"] * 2 + ["linf"] * 3,
        "architecture": list("ttttuttutu"),
        "structure": list("ttttuttutu"),
        "regime": ["s"] * 5 + ["r"] * 5,
        "hyper_parameters": ["", "w", "", "", "", "", "", "", "", ""],
        "same_weights_as": [None, None, "a", *[None] * 7],
        "at_chance": [name == "d" for name in NAMES],
        "inversion_failed": [name in "bg" for name in NAMES],
    }
).astype({"eps": float})
KINDS = ("natural", "inverted", "natural:other", "inverted:other", "adversarial")
MEASURES = ("cka", "apart")
UNDEFINED = {("a", "b"), ("h", "i")}


def rows_of(seed=0):
    """The similarity table, with a retired model's rows and pairs that a measure does not know."""
    rng = np.random.default_rng(seed)
    rows = []
    for measure, kind in itertools.product(MEASURES, KINDS):
        for a, b in itertools.product([*NAMES, RETIRED], repeat=2):
            if not kind.startswith("inverted") and a > b:
                continue
            unknown = measure == "apart" and (a, b) in UNDEFINED
            rows.append(
                {
                    **{"kind": kind, "measure": measure, "model_a": a, "model_b": b},
                    "source": a if kind.startswith("inverted") else "digits",
                    "value": math.nan if unknown else rng.random(),
                    **{"stderr": 0.1 * rng.random(), "chance": rng.random(), "n": int(rng.integers(10, 99))},
                    "inversion_failed": kind.startswith("inverted") and a in "bg",
                    "inversion_success": rng.random() if kind.startswith("inverted") else math.nan,
                    "attack_success": rng.random() if kind == "adversarial" else math.nan,
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def whole():
    return rows_of()


@pytest.fixture(scope="module")
def similarity(whole):
    return tables.joined_shells([whole[:300], whole[300:]], MODELS)


ENTRIES = {entry["name"]: entry for entry in MODELS.to_dict("records")}


def level(name):
    entry = ENTRIES[name]
    return (entry["norm"], entry["eps"]) if entry["eps"] else ("", 0.0)


def spread(chosen):
    """What a mean over rows (dicts) is told with."""
    known = [row["value"] for row in chosen if row["value"] == row["value"]]
    well = [row["value"] for row in chosen if row["value"] == row["value"] and not row["inversion_failed"]]
    success = [
        row["inversion_success"] for row in chosen if row["inversion_success"] == row["inversion_success"]
    ]

    def sd(found):
        return statistics.stdev(found) if len(found) > 1 else math.nan

    def mean(found):
        return statistics.fmean(found) if found else math.nan

    return {
        "mean": mean(known),
        "sd": sd(known),
        "pairs": len(known),
        "stderr": math.sqrt(mean([row["stderr"] ** 2 for row in chosen])),
        "chance": mean([row["chance"] for row in chosen]),
        "n": chosen[0]["n"],
        "mean_inverted": mean(well),
        "sd_inverted": sd(well),
        "pairs_inverted": len(well),
        "inversion_success": min(success, default=math.nan),
    }


def grouped(rows, key):
    found = {}
    for row in rows.to_dict("records"):
        about = key(row)
        if about is not None:
            found.setdefault(about, []).append(row)
    return found


def same(made, wanted, by):
    """The rows of a table against those of the definition, by their keys."""
    assert len(made) == len(wanted)
    for row in made.to_dict("records"):
        about = tuple(row[key] for key in by)
        for name, value in wanted[about].items():
            assert row[name] == pytest.approx(value, nan_ok=True), (about, name)


def test_a_retired_model_is_in_no_pair(whole, similarity):
    assert {*whole["model_a"]} == {*whole["model_b"]} == {*NAMES, RETIRED}
    assert {*similarity["model_a"]} == {*similarity["model_b"]} == {*NAMES}
    assert len(similarity) == sum(
        RETIRED not in pair for pair in zip(whole["model_a"], whole["model_b"], strict=True)
    )


def test_the_summary_is_its_definition(similarity):
    def key(row):
        a, b = row["model_a"], row["model_b"]
        if a == b or "c" in (a, b) or level(a) != level(b):
            return None
        return (row["kind"], row["measure"], level(a)[1], level(a)[0])

    chosen = grouped(similarity, key)
    wanted = {
        about: spread(rows) | {"attack_success": min((r["attack_success"] for r in rows), default=math.nan)}
        for about, rows in chosen.items()
    }
    same(tables.summary(similarity, MODELS), wanted, ["kind", "measure", "eps", "norm"])


def test_the_asymmetry_is_its_definition(similarity):
    def key(row):
        a, b = row["model_a"], row["model_b"]
        if row["kind"] != "inverted" or a == b or "c" in (a, b):
            return None
        return (row["measure"], level(a)[1], level(b)[1], level(a)[0], level(b)[0])

    wanted = {about: spread(rows) for about, rows in grouped(similarity, key).items()}
    by = ["measure", "source_eps", "observer_eps", "source_norm", "observer_norm"]
    same(tables.asymmetry(similarity, MODELS), wanted, by)


def test_both_directions_are_those_that_there_are(similarity):
    made = tables.both_directions(similarity).set_index(["measure", "kind", "model_a", "model_b"])
    assert made.index.is_unique
    keys = ("measure", "kind", "model_a", "model_b")
    values = {tuple(row[key] for key in keys): row for row in similarity.to_dict("records")}
    for (measure, kind, a, b), row in made.to_dict("index").items():
        both = ((measure, kind, a, b), (measure, kind, b, a))
        there = [values[key] for key in both if key in values]
        known = [each["value"] for each in there if each["value"] == each["value"]]
        assert row["value"] == pytest.approx(np.mean(known) if known else math.nan, nan_ok=True)
        assert row["inversion_failed"] == any(each["inversion_failed"] for each in there)


def test_an_attack_is_as_good_as_its_worse_half():
    rows = pd.DataFrame(
        [
            {"kind": kind, "model_a": a, "model_b": b}
            for kind in ("adversarial", "adversarial:jpeg", "natural")
            for a, b in (("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"))
        ]
    )
    facts = {
        "adversarial": {"a": {"success": 0.9}, "b": {"success": 0.4}, "c": {"success": None}},
        "adversarial:jpeg": {"a": {"success": 0.3}, "b": {"success": 0.8}},
    }
    found = tables.with_attack_success(rows, facts)["attack_success"].tolist()
    unknown = [math.nan] * 2
    assert found == pytest.approx([0.4, 0.4, *unknown, 0.3, 0.3, *unknown, *unknown, *unknown], nan_ok=True)


def test_the_lowest_success_is_that_of_the_measure_and_the_kind():
    rows = pd.DataFrame(
        {
            "kind": ["adversarial"] * 2 + ["adversarial:jpeg"] * 2,
            "measure": ["sat", "sat-b"] * 2,
            "attack_success": [0.9, 0.5, 0.7, 0.2],
        }
    )
    by = rows[["kind", "measure"]]
    made = tables.with_lowest_success({"by": by, "other": by[["kind"]]}, rows)
    assert made["by"]["attack_success"].tolist() == [0.9, 0.5, 0.7, 0.2]
    assert list(made["by"]) == ["kind", "measure", "attack_success"], "nothing is said of inversions"
    assert list(made["other"]) == ["kind"]


def test_a_square_is_without_the_models_that_a_measure_does_not_know():
    """b lacks two pairs, and goes; then all is known."""
    grid = dict.fromkeys(itertools.product("abcd", repeat=2), 0.5)
    grid |= dict.fromkeys([("a", "b"), ("b", "c")], math.nan)
    rows = pd.DataFrame([{"model_a": a, "model_b": b, "value": value} for (a, b), value in grid.items()])
    known, dropped = tables.defined_square(rows)
    assert dropped == ["b"]
    assert set(zip(known["model_a"], known["model_b"], strict=True)) == set(
        itertools.product("acd", repeat=2)
    )
    again, none = tables.defined_square(known)
    assert none == []
    assert again.equals(known)


def may_stand_in_a_mean(row):
    a, b = row["model_a"], row["model_b"]
    failed = row["kind"].startswith("inverted") and a in "bg"
    return a != b and not {a, b} & {"c", "d"} and row["value"] == row["value"] and not failed


def named_level(name):
    norm, eps = level(name)
    return f"{norm} {eps:g}" if eps else "standard"


def of_pairs(similarity):
    """Values by measure, kind and unordered pair: means of the directions that may stand in a mean."""
    found = {}
    for row in similarity.to_dict("records"):
        if may_stand_in_a_mean(row):
            pair = tuple(sorted((row["model_a"], row["model_b"])))
            found.setdefault((row["measure"], row["kind"]), {}).setdefault(pair, []).append(row["value"])
    return {which: {pair: np.mean(v) for pair, v in pairs.items()} for which, pairs in found.items()}


def within(pairs, name):
    return {pair: v for pair, v in pairs.items() if named_level(pair[0]) == named_level(pair[1]) == name}


def test_level_means_are_their_definition(similarity):
    made = level_means.level_means(similarity, MODELS, resamples=50)
    wanted = {}
    for (measure, kind), pairs in of_pairs(similarity).items():
        rows = [
            row
            for row in similarity.to_dict("records")
            if (row["measure"], row["kind"]) == (measure, kind) and may_stand_in_a_mean(row)
        ]
        for name in ("standard", "l2 0.5", "linf 0.5"):
            part = within(pairs, name)
            if part:
                wanted[measure, kind, name] = {
                    "mean": np.mean(list(part.values())),
                    "models": len({model for pair in part for model in pair}),
                    "pairs": len(part),
                    "chance": np.mean([row["chance"] for row in rows]),
                    "low": min(part.values()),
                    "high": max(part.values()),
                    "basis": "range of pairs",
                }
    same(made, wanted, ["measure", "kind", "level"])


def test_differences_are_of_pairs_that_both_kinds_have(monkeypatch, similarity):
    monkeypatch.setattr(level_means, "FEWEST", 2)
    made = level_means.level_differences(similarity, MODELS, resamples=20)
    values = of_pairs(similarity)
    wanted = {}
    for (measure, kind), pairs in values.items():
        natural = values.get((measure, kind.replace("inverted", "natural", 1)))
        for name in ("standard", "l2 0.5", "linf 0.5"):
            if kind.startswith("inverted") and natural is not None:
                both = within(pairs, name).keys() & within(natural, name).keys()
                if both:
                    wanted[measure, "kind", kind, name] = {
                        "difference": np.mean([pairs[pair] - natural[pair] for pair in both]),
                        "pairs": len(both),
                        "models": len({model for pair in both for model in pair}),
                    }
            robust, standard = within(pairs, name), within(pairs, "standard")
            if name != "standard" and robust and standard:
                wanted[measure, "level", kind, name] = {
                    "difference": np.mean([*robust.values()]) - np.mean([*standard.values()]),
                    "pairs": min(len(robust), len(standard)),
                    "models": min(len({m for pair in each for m in pair}) for each in (robust, standard)),
                }
    same(made, wanted, ["measure", "what", "kind", "level"])


def relation(a, b):
    one, other = ENTRIES[a], ENTRIES[b]
    for key, said in (
        ("structure", "architecture"),
        ("regime", "training regime"),
        ("hyper_parameters", "hyper-parameters"),
    ):
        if one[key] != other[key]:
            return said
    return "initialisation"


def test_relations_are_their_definition(similarity):
    made = relations.relation_similarities(similarity, MODELS, permutations=9)
    directions = {}
    for row in similarity.to_dict("records"):
        a, b = row["model_a"], row["model_b"]
        if a != b and "c" not in (a, b):
            pair = (row["measure"], row["kind"], *sorted((a, b)))
            directions.setdefault(pair, []).append(row)
    groups = {}
    for (measure, kind, a, b), rows in directions.items():
        known = [row["value"] for row in rows if row["value"] == row["value"]]
        value = np.mean(known) if known else math.nan
        failed = any(row["inversion_failed"] for row in rows)
        structures = ["all"] if relation(a, b) == "architecture" else ["all", ENTRIES[a]["structure"]]
        for structure in structures:
            groups.setdefault((measure, kind, relation(a, b), structure), []).append((value, failed))
    wanted = {}
    for about, found in groups.items():
        known = [value for value, _ in found if value == value]
        well = [value for value, failed in found if value == value and not failed]
        wanted[about] = {
            "mean": np.mean(known) if known else math.nan,
            "sd": np.std(known, ddof=1) if len(known) > 1 else math.nan,
            "pairs": len(found),
            "mean_inverted": np.mean(well) if well else math.nan,
            "pairs_inverted": len(well),
        }
    same(made, wanted, ["measure", "kind", "relation", "structure"])


# of models


def card(weights):
    known = dict.fromkeys([*tables.CARD_FACTS, *tables.EVALUATION_FACTS, *tables.COMPONENTS], 0)
    return pd.DataFrame(
        [known | {"weights": weights, "source": "file", "mean": "0", "std": "1", "split_points": 2}]
    )


def test_the_table_of_models_joins_what_is_of_each():
    """d has no card; c has the weights of a; of the inversions those on the study's own images count."""
    models = pd.DataFrame({"name": list("abcd"), "eps": 0.0, "norm": "l2"})
    cards = {name: card(weights) for name, weights in zip("abcz", "xyxx", strict=True)}
    facts = {
        (kind, name): dict.fromkeys(tables.INVERSION_FACTS, value) | {"loss": np.array([value])}
        for kind, shift in (("inverted:other", 0.5), ("inverted", 0.0))
        for name, value in (("a", 0.1 + shift), ("b", 0.3 + shift))
    }
    inverted = tables.inversions_table(facts, failed_above=0.2)
    attacks = {"adversarial:jpeg": {"a": {"success": 0.7, "median_distance": 0.1}}}
    made = tables.models_table(models, cards, inverted, attacks).set_index("name")
    assert list(made.index) == list("abcd")
    assert made["source"].tolist() == ["file"] * 3 + ["none"]
    assert made["same_weights_as"].isna().tolist() == [True, True, False, True]
    assert made["same_weights_as"]["c"] == "a"
    assert made["inversion_median_loss"].tolist() == pytest.approx([0.1, 0.3, *[math.nan] * 2], nan_ok=True)
    assert made["inversion_failed"].tolist()[:2] == [False, True]
    assert made["attack_success:jpeg"].tolist() == pytest.approx([0.7, *[math.nan] * 3], nan_ok=True)
    assert "attack_success" not in made
    alone = tables.models_table(models, cards, inverted, {})
    assert alone["attack_success"].isna().all(), "the column is there without an attack"


def test_a_users_components_stand_where_they_say_something():
    found = pd.DataFrame({"model": list("ab"), "stem": ["conv", "patch"]})
    rows = [{"model": "b", "stem": "", "family": "vit"}, {"model": "a", "stem": "pool", "family": None}]
    made = tables.combined_components(found, {"rows": rows, "replace": False})
    assert made.to_dict("list") == {"model": list("ab"), "stem": ["pool", "patch"], "family": ["", "vit"]}
    replaced = tables.combined_components(found, {"rows": rows[:1], "replace": True})
    assert replaced.to_dict("list") == {"model": ["b"], "stem": [""], "family": ["vit"]}
    assert tables.combined_components(found, None).equals(found)
