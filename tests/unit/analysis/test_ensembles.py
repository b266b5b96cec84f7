"""Ensembles: against their definitions and scipy, planted answers, edge cases, wrong input."""

import itertools

import numpy as np
import pandas as pd
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import rows_of

from modelkin.analysis import ensembles
from modelkin.errors import ModelkinError

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def labels():
    return planted.labels()


@pytest.fixture(scope="module")
def logits(labels):
    return planted.logits(labels)


@pytest.fixture
def near():
    return planted.near()


def by_hand(members, labels):
    """What :func:`ensembles.evaluate` returns, image by image."""
    wrong, every, alone = 0, 0, [0] * len(members)
    for i, label in enumerate(labels):
        total = sum(np.asarray(member[i], dtype=float) for member in members)
        wrong += int(np.argmax(total)) != label
        misses = [int(np.argmax(member[i])) != label for member in members]
        alone = [count + miss for count, miss in zip(alone, misses, strict=True)]
        every += all(misses)
    n = len(labels)
    mean = sum(alone) / len(members) / n
    rate = 1 - wrong / n / mean if mean else np.nan
    return {
        "error": wrong / n,
        "mean_member_error": mean,
        "error_reduction_rate": rate,
        "all_wrong": every / n,
    }


# one ensemble


def test_error_counts_the_first_of_tied_classes():
    assert ensembles.ensemble_error(
        np.array([[1, 1, 0], [0, 2, 2], [0, 0, 3]]), np.array([0, 2, 2])
    ) == pytest.approx(1 / 3)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 12), st.integers(2, 4), st.integers(0, 999))
def test_an_ensemble_by_its_definition(members, n, classes, seed):
    rng = np.random.default_rng(seed)
    # Few values, so that ties are common; halves, so that sums are exact.
    found = list(rng.integers(-2, 3, (members, n, classes)) / 2)
    labels = rng.integers(0, classes, n)
    assert ensembles.evaluate_ensemble(found, labels) == pytest.approx(by_hand(found, labels), nan_ok=True)


def test_logits_are_averaged_not_votes():
    sure, unsure = np.array([[9.0, 0]]), np.array([[0, 1.0]])
    assert ensembles.evaluate_ensemble([sure, unsure, unsure], np.array([0]))["error"] == 0


def test_members_that_never_err_leave_nothing_to_reduce():
    made = ensembles.evaluate_ensemble([np.eye(3)] * 2, np.arange(3))
    assert np.isnan(made.pop("error_reduction_rate"))
    assert made == {"error": 0, "mean_member_error": 0, "all_wrong": 0}


def test_an_ensemble_can_be_worse_than_its_members():
    loud, right = np.array([[0, 5.0], [1, 0]]), np.array([[1.0, 0], [1, 0]])
    made = ensembles.evaluate_ensemble([loud, right], np.array([0, 0]))
    assert made["error"] == 0.5
    assert made["error_reduction_rate"] == -1


# pairs and correlations


def test_every_pair_of_different_models(logits, labels):
    made = ensembles.pair_ensembles(logits, labels)
    assert list(zip(made["model_a"], made["model_b"], strict=True)) == list(
        itertools.combinations("abcdef", 2)
    )
    for row in made.to_dict("records"):
        a, b = row.pop("model_a"), row.pop("model_b")
        assert row.pop("error_a") == np.mean(logits[a].argmax(1) != labels)
        assert row.pop("error_b") == np.mean(logits[b].argmax(1) != labels)
        assert row == pytest.approx(by_hand([logits[a], logits[b]], labels))


# from clusters


@pytest.fixture
def drawn(logits, labels, monkeypatch):
    """Draw from clusters; the frame with who was drawn, by place."""
    evaluate = ensembles.evaluate_ensemble

    def draw(clusters, sizes, draws=20, seed=0):
        seen = []

        def spied(members, labels):
            seen.append([next(i for i, v in enumerate(logits.values()) if v is m) for m in members])
            return evaluate(members, labels)

        monkeypatch.setattr(ensembles, "evaluate_ensemble", spied)
        rng = np.random.default_rng(seed)
        made = ensembles.cluster_ensembles(logits, labels, clusters, sizes, draws, rng)
        return made.assign(who=seen)

    return draw


def numbers(made):
    return made.groupby(["members", "clusters"]).size().to_dict()


def test_every_draw_is_from_as_many_clusters_as_it_says(drawn, logits, labels):
    groups = np.array([7, 7, 7, 3, 3, 5])
    made = drawn(groups, [3, 4], draws=60)
    assert numbers(made) == dict.fromkeys([(3, 1), (3, 2), (3, 3), (4, 2), (4, 3)], 60)
    for row in made.to_dict("records"):
        who = row["who"]
        assert len(set(who)) == row["members"]
        assert len({groups[i] for i in who}) == row["clusters"]
        assert row["models"] == ",".join(list(logits)[i] for i in sorted(who))
        expected = by_hand([list(logits.values())[i] for i in who], labels)
        assert {key: row[key] for key in expected} == pytest.approx(expected)
    assert made.groupby(["members", "clusters"])["draw"].apply(list).map(lambda x: x == list(range(60))).all()

    def origins(members, k):
        rows = made[(made["members"] == members) & (made["clusters"] == k)]
        return {tuple(sorted(set(groups[who]))) for who in rows["who"]}

    assert origins(3, 1) == {(7,)}, "only one cluster has three models"
    assert origins(3, 2) == {(3, 7), (5, 7), (3, 5)}, "every choice that has as many models"
    assert origins(4, 2) == {(3, 7), (5, 7)}


def test_draws_reach_every_model_and_every_share(drawn):
    groups = np.array([0, 0, 0, 1, 1, 1])
    made = drawn(groups, [2, 4])
    twos = made[(made["members"] == 2) & (made["clusters"] == 2)]["who"]
    assert set(twos.explode()) == set(range(6)), "not always the same model of a cluster"
    fours = made[(made["members"] == 4) & (made["clusters"] == 2)]["who"]
    assert {sum(groups[i] for i in who) for who in fours} == {1, 2, 3}, "not only two and two"


def test_every_model_must_have_its_cluster(drawn):
    with pytest.raises(ModelkinError, match="clusters of 5 models do not go with logits of 6"):
        drawn(np.zeros(5, dtype=int), [2])


def test_clusters_that_are_not_there_are_left_out(drawn):
    made = drawn(np.zeros(6, dtype=int), [2, 3], draws=3)
    assert numbers(made) == {(2, 1): 3, (3, 1): 3}


def test_draws_depend_on_the_generator_alone(drawn):
    groups = np.array([0, 0, 0, 1, 1, 1])
    first, again, other = (drawn(groups, [2], seed=seed)["who"].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


# chosen


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10])
def test_the_most_diverse_set_is_the_least_similar(size):
    matrix = np.random.default_rng(size).random((10, 10))
    matrix = matrix + matrix.T
    totals = {
        each: sum(matrix[i, j] for i, j in itertools.combinations(each, 2))
        for each in itertools.combinations(range(10), size)
    }
    best = ensembles.most_diverse(matrix, size)
    assert len(set(best)) == size
    assert totals[best] == pytest.approx(min(totals.values()))


@pytest.mark.parametrize("exhaustive", [20_000, 0])
def test_of_tied_sets_the_first_is_chosen(monkeypatch, exhaustive):
    monkeypatch.setattr(ensembles, "EXHAUSTIVE", exhaustive)
    assert ensembles.most_diverse(np.full((6, 6), 0.1), 3) == (0, 1, 2)
    rounding = np.full((6, 6), 0.3)
    rounding[3:, 3:] = 0.1 * 3 - 1e-16
    rounding[:3, :3] = 0.1 + 0.2
    assert ensembles.most_diverse(rounding, 3) == (0, 1, 2)
    assert ensembles.most_diverse(-rounding, 3) == (0, 1, 2)


def test_too_many_sets_are_searched_greedily(monkeypatch):
    # The least similar pair is (0, 1), but 2, 3 and 4 together are less similar than any set with it.
    matrix = np.full((5, 5), 0.9)
    matrix[0, 1] = matrix[1, 0] = 0.1
    matrix[2:, 2:] = 0.2
    matrix[0, 3] = matrix[3, 0] = 0.8  # next in the mean
    matrix[0, 4], matrix[4, 0], matrix[1, 4], matrix[4, 1] = 0.7, 0.7, 1.2, 1.2  # only next to one of them
    assert ensembles.most_diverse(matrix, 3) == (2, 3, 4)
    monkeypatch.setattr(ensembles, "EXHAUSTIVE", 10)
    assert ensembles.most_diverse(matrix, 3) == (2, 3, 4), "ten sets are not too many"
    monkeypatch.setattr(ensembles, "EXHAUSTIVE", 9)
    assert ensembles.most_diverse(matrix, 3) == (0, 1, 3)


def test_many_models_take_no_time():
    matrix = np.random.default_rng(0).random((60, 60))
    assert len(ensembles.most_diverse(matrix + matrix.T, 20)) == 20  # of 4e15 sets


def test_chosen_by_its_definition(logits, labels, near):
    table = pd.concat([rows_of(near), rows_of(near, "inverted"), rows_of(1 - near, measure="kl")])
    directions = {"cka": "similarity", "kl": "distance"}
    made = ensembles.chosen_ensembles(logits, labels, table, [3, 2], 40, np.random.default_rng(5), directions)
    keys = [("natural", "cka"), ("inverted", "cka"), ("natural", "kl")]
    assert list(zip(made["kind"], made["measure"], strict=True)) == keys * 2
    assert made["members"].tolist() == [3] * 3 + [2] * 3

    rng, names = np.random.default_rng(5), list(logits)
    for size, rows in made.groupby("members", sort=False):
        sets = [rng.choice(6, size, replace=False) for _ in range(40)]
        random = pd.DataFrame([by_hand([logits[names[i]] for i in each], labels) for each in sets])
        for row in rows.to_dict("records"):
            square = near if row["kind"] == "natural" else (near + near.T) / 2
            best = min(
                itertools.combinations(range(6), size),
                key=lambda each: sum(square[i, j] for i, j in itertools.combinations(each, 2)),
            )
            assert row["models"] == ",".join(names[i] for i in best)
            found = by_hand([logits[names[i]] for i in best], labels)
            assert row["error"] == pytest.approx(found["error"])
            assert row["error_reduction_rate"] == pytest.approx(found["error_reduction_rate"])
            assert row["random_error_mean"] == pytest.approx(random["error"].mean())
            assert row["random_error_sd"] == pytest.approx(np.std(random["error"], ddof=1))
            assert row["random_err_mean"] == pytest.approx(random["error_reduction_rate"].mean())
            assert row["random_err_sd"] == pytest.approx(np.std(random["error_reduction_rate"], ddof=1))
            assert row["better_than_random"] == np.mean(random["error"] > found["error"])


def test_the_diverse_choice_is_best_where_it_was_planted():
    """a to d err on the same three of ten images, e and f each on others: of 20 sets of three, the four
    with only one of a to d never err, and all others do.
    """
    wrong = np.zeros((6, 10), dtype=bool)
    wrong[:4, :3] = wrong[4, 3:6] = wrong[5, 6:9] = True
    logits = {
        name: np.column_stack([~miss, miss]).astype(float) for name, miss in zip("abcdef", wrong, strict=True)
    }
    near = np.full((6, 6), 0.1)
    near[:4, :4] = 0.9

    def choose(direction):
        rng, labels = np.random.default_rng(0), np.zeros(10, dtype=int)
        return ensembles.chosen_ensembles(
            logits, labels, rows_of(near), [3], 300, rng, {"cka": direction}
        ).iloc[0]

    diverse, alike = choose("similarity"), choose("distance")
    assert diverse["models"] == "a,e,f"
    assert (diverse["error"], diverse["error_reduction_rate"]) == (0, 1)
    assert diverse["better_than_random"] == pytest.approx(0.8, abs=0.1)
    assert diverse["random_error_mean"] == pytest.approx(0.8 * 0.3, abs=0.03)
    assert alike["models"] == "a,b,c"
    assert (alike["error"], alike["error_reduction_rate"]) == (pytest.approx(0.3), pytest.approx(0))
    assert alike["better_than_random"] == 0, "no set is worse, and those as bad do not count"


def test_a_pair_of_unknown_similarity_is_not_the_most_diverse(logits, labels, near):
    def choose(rows):
        return ensembles.chosen_ensembles(
            logits, labels, rows, [2], 2, np.random.default_rng(0), {"cka": "similarity"}
        )

    rows = rows_of(near)
    pair = (rows["model_a"] == "b") & (rows["model_b"] == "e")
    with pytest.raises(ModelkinError, match="no value for 'b' and 'e'"):
        choose(rows[~pair])
    with pytest.raises(ModelkinError, match="no value for 'a' and 'f'"):
        choose(rows[rows["model_b"] != "f"])


def test_models_without_a_value_are_in_no_set_chosen_or_random(logits, labels, near):
    rows, names = rows_of(near), list(logits)
    gone = (rows["model_a"] == "e") | (rows["model_b"] == "e")
    table = pd.concat([rows, rows_of(near, measure="sat").assign(value=rows["value"].mask(gone))])
    directions = dict.fromkeys(("cka", "sat"), "similarity")
    made = ensembles.chosen_ensembles(logits, labels, table, [2, 6], 30, np.random.default_rng(0), directions)
    assert made[["measure", "members", "left_out"]].to_numpy().tolist() == [
        ["cka", 2, ""],
        ["sat", 2, "e"],
        ["cka", 6, ""],  # five models of sat are too few for six
    ]
    rest = [name for name in names if name != "e"]
    rng = np.random.default_rng(0)
    [rng.choice(6, 2, replace=False) for _ in range(30)]
    sets = [[rest[i] for i in rng.choice(5, 2, replace=False)] for _ in range(30)]
    errors = [by_hand([logits[name] for name in each], labels)["error"] for each in sets]
    sat = made.set_index("measure").loc["sat"]
    assert sat["random_error_mean"] == pytest.approx(np.mean(errors))
    alone = ensembles.chosen_ensembles(
        {name: logits[name] for name in rest}, labels, rows[~gone], [2], 1, rng, {"cka": "similarity"}
    )
    assert sat["models"] == alone["models"].item()


# wrong input


def test_ensembles_refuse_what_is_wrong(logits, labels, near):
    rng = np.random.default_rng(0)
    with pytest.raises(ModelkinError, match="an ensemble of 7 cannot be made of 6 models"):
        ensembles.cluster_ensembles(logits, labels, None, [2, 7], 1, rng)
    with pytest.raises(ModelkinError, match="an ensemble of 8 cannot be made of 6 models"):
        ensembles.chosen_ensembles(logits, labels, rows_of(near), [8], 1, rng, {"cka": "similarity"})
    with pytest.raises(ModelkinError, match="an ensemble of 0 cannot"):
        ensembles.cluster_ensembles(logits, labels, None, [0], 1, rng)
    for few in ({}, {"a": logits["a"]}):
        with pytest.raises(ModelkinError, match=f"an ensemble of 2 cannot be made of {len(few)} models"):
            ensembles.pair_ensembles(few, labels)
    for other in (logits["c"][:, :3], logits["c"][:-1]):
        with pytest.raises(ModelkinError, match=r"differ in shape: 'a' has \(200, 4\), 'c' \("):
            ensembles.pair_ensembles(logits | {"c": other}, labels)
    with pytest.raises(ModelkinError, match="200 images have logits, but 199 have labels"):
        ensembles.pair_ensembles(logits, labels[1:])
    broken = logits["d"].copy()
    broken[3, 1] = np.nan
    with pytest.raises(ModelkinError, match="logits of 'd' hold NaN"):
        ensembles.pair_ensembles(logits | {"d": broken}, labels)


# partial correlation


# best


def test_the_best_ensemble_is_the_best_and_its_gain_is_of_other_images():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 4000)
    # Three that err independently, and three copies of one that errs a little less.
    alone = {name: np.eye(3)[labels] + 0.6 * rng.normal(size=(4000, 3)) for name in "abc"}
    copy = np.eye(3)[labels] + 0.55 * rng.normal(size=(4000, 3))
    logits = alone | dict.fromkeys("def", copy)
    made = ensembles.best_ensembles(logits, labels, [2, 3], np.random.default_rng(1)).set_index("members")
    for size in (2, 3):
        errors = {
            members: by_hand([logits[name] for name in members], labels)["error"]
            for members in itertools.combinations(logits, size)
        }
        best = min(errors, key=errors.get)
        assert made.loc[size, "models"] == ",".join(best)
        assert made.loc[size, "error"] == pytest.approx(errors[best])
    assert made.loc[3, "single"] == "d"
    gain = made["single_error"] - made["error"]
    assert made["gain"].to_numpy() == pytest.approx(gain.to_numpy(), abs=0.006)
    assert (made["gain_low"] < made["gain"]).all()
    assert (made["gain"] < made["gain_high"]).all()


def test_a_choice_by_luck_gains_nothing():
    """All models are the same but for luck: the best on these images is not the best on others."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    logits = {f"m{i}": rng.normal(size=(60, 2)) for i in range(12)}
    made = ensembles.best_ensembles(logits, labels, [2], rng).iloc[0]
    assert made["single_error"] - 0.5 < -0.08, "seemingly better than chance"
    assert made["error"] - 0.5 < -0.08
    assert -0.08 < made["gain"] < 0.03
    assert made["chosen_again"] < 0.6


def test_the_gain_by_its_definition(logits, labels):
    made = ensembles.best_ensembles(logits, labels, [2], np.random.default_rng(4), splits=20).iloc[0]
    rng = np.random.default_rng(4)
    sets = list(itertools.combinations(logits, 2))
    gains, again = [], 0
    for _ in range(20):
        half = rng.permutation(len(labels)) < len(labels) // 2

        def errors(members, there):
            return by_hand([logits[name][there] for name in members], labels[there])["error"]

        pick = min(sets, key=lambda members: round(errors(members, half), 9))  # noqa: B023
        single = min(logits, key=lambda name: round(errors([name], half), 9))  # noqa: B023
        gains.append(errors([single], ~half) - errors(pick, ~half))
        again += ",".join(pick) == made["models"]
    assert made["gain"] == pytest.approx(np.mean(gains))
    assert [made["gain_low"], made["gain_high"]] == pytest.approx(np.quantile(gains, [0.025, 0.975]).tolist())
    assert made["chosen_again"] == again / 20


def test_large_sets_grow_from_small_ones(logits, labels, monkeypatch):
    whole = ensembles.best_ensembles(logits, labels, [2, 3, 4], np.random.default_rng(0))
    monkeypatch.setattr(ensembles, "EXHAUSTIVE", 16)
    grown = ensembles.best_ensembles(logits, labels, [2, 3, 4], np.random.default_rng(0))
    assert whole["error"].tolist()[:2] == grown["error"].tolist()[:2]
    assert all(grown["error"] >= whole["error"])
    assert [len(models.split(",")) for models in grown["models"]] == [2, 3, 4]
    monkeypatch.setattr(ensembles, "GROWN", 1)
    once = ensembles.best_ensembles(logits, labels, [2, 3], np.random.default_rng(0), splits=2)
    pair, three = (set(models.split(",")) for models in once["models"])
    assert pair < three, "the best pair is the one that grows"
    assert once["n"].tolist() == [len(labels)] * 2


def test_a_gain_stands_beside_that_of_any_set(monkeypatch):
    """Of all orders of four models, written out; where models are the same any set gains as much."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 120)
    noise = dict(zip("abcd", (0.5, 0.5, 1.0, 1.0), strict=True))
    logits = {name: np.eye(3)[labels] + each * rng.normal(size=(120, 3)) for name, each in noise.items()}
    monkeypatch.setattr(ensembles, "PERMUTATIONS", 3000)
    made = ensembles.best_ensembles(logits, labels, [2], np.random.default_rng(4), splits=7).iloc[0]
    rng = np.random.default_rng(4)
    found = {order: [] for order in itertools.permutations(logits)}
    for _ in range(7):
        half = rng.permutation(len(labels)) < len(labels) // 2

        def errors(members, there):
            return by_hand([logits[name][there] for name in members], labels[there])["error"]

        pick = min(itertools.combinations(logits, 2), key=lambda each: round(errors(each, half), 9))  # noqa: B023
        single = errors([min(logits, key=lambda name: round(errors([name], half), 9))], ~half)  # noqa: B023
        for order, gains in found.items():
            renamed = dict(zip(logits, order, strict=True))
            gains.append(single - errors([renamed[name] for name in pick], ~half))
    means = np.array([np.mean(gains) for gains in found.values()])
    assert made["gain"] == pytest.approx(means[0])
    assert made["gain_null"] == pytest.approx(means.mean(), abs=0.004)
    assert made["gain_p"] == pytest.approx(np.mean(means >= means[0] - 1e-9), abs=0.03)
    same = dict.fromkeys("abcd", logits["a"])
    alike = ensembles.best_ensembles(same, labels, [2], np.random.default_rng(0), splits=3).iloc[0]
    assert (alike["gain"], alike["gain_null"], alike["gain_p"]) == (0, 0, 1)
