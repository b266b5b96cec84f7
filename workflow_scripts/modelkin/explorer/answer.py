"""The answer in words: what a study's tables say, each sentence hedged by its interval.

From tables to sentences. It computes no statistic: it picks rows, compares intervals and counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from modelkin.explorer.sentences import Link, Sentence, count, interval, listed, model, number, pair, place
from modelkin.probe_kinds import IMPORTED, in_words, origin_of

CAREFUL = "Before you believe a number"
PAIRS = "Which models are alike"
INVERTED = "Natural against inverted images"
ROBUST = "What robustness changes"
DEPTH = "Where in depth"
ALIKE = "What goes with it"
WHATEVER = "What holds whatever the measure"
GROUPS = "Groups"
ADVICE = "What to do with them"
SECTIONS = (CAREFUL, PAIRS, INVERTED, ROBUST, DEPTH, ALIKE, WHATEVER, GROUPS, ADVICE)
STRONG = 0.9  # share of images below which an attack leaves much undone
SIGNIFICANT = 0.05
FEW_PAIRS = 6  # of whose layers the answer speaks
FEWEST_GROUPED = 5  # models; below, every clustering is as good as another

Tables = Mapping[str, pd.DataFrame]


def answer(tables: Tables) -> list[Sentence]:
    """Say what a study has found.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those of the study that there are (models, measures and similarity always), and level_means and
        level_differences of :mod:`modelkin.analysis.level_means`.

    Returns
    -------
    list of Sentence
        In the order of :data:`SECTIONS`: what makes numbers doubtful comes first.
    """
    parts = (_careful, _pairs, _inverted, _robust, _depth, _components, _groups, _conclusions, _advice)
    found = [sentence for part in parts for sentence in part(tables)]
    return sorted(found, key=lambda sentence: SECTIONS.index(sentence.section))


def headline(tables: Tables) -> list[str | Link]:
    """The study's answer in one or two sentences: what natural images hide, or which pair is most alike."""
    label, title = _leading(tables)
    means = tables["level_means"].query("measure == @label and basis == 'models resampled'")
    changed = tables["level_differences"].query("measure == @label and what == 'kind' and kind == 'inverted'")
    if len(changed):
        first = changed.iloc[0]
        by_kind = means[means["level"] == first["level"]].set_index("kind")
        if {"natural", "inverted"} <= set(by_kind.index):
            word, _ = _compared(tables, label, first)
            said = (
                f"{_level(first['level']).capitalize()} are {word} alike on inverted images than on natural "
                f"ones: {title} {_mean(by_kind.loc['inverted'])} against {_mean(by_kind.loc['natural'])}."
            )
            last = changed.iloc[-1]["level"]
            if last != first["level"]:
                robust = means[means["level"] == last].set_index("kind")
                said += (
                    f" For {_level(last)} it is {_mean(robust.loc['inverted'])} against "
                    f"{_mean(robust.loc['natural'])}."
                )
            return [said]
    kind = _kinds(tables, label)[0]
    ends = _ends(tables, label, kind)
    if ends is None:
        return ["No pair of different models has a value."]
    best, worst = ends
    if len(_apart(tables, label, kind)) == 1:
        return [*_one_pair(tables, label), "."]
    return [
        f"Most alike by {title}, {_on(kind)}, are ",
        pair(best["model_a"], best["model_b"]),
        f" ({_value(best)}), least ",
        pair(worst["model_a"], worst["model_b"]),
        f" ({_value(worst)}).",
    ]


# which numbers to doubt


def _careful(tables: Tables) -> Iterator[Sentence]:
    models = tables["models"]
    with_weights = models[models["source"] != "none"] if "source" in models else models
    cards = [Link("accuracies", place("tables", table="models"))]
    chance = with_weights[with_weights["at_chance"].eq(True)]
    if len(chance):
        yield Sentence(
            CAREFUL,
            [
                f"{count(len(chance), 'model')} of {len(with_weights)} know nothing: ",
                *listed(map(model, chance["name"])),
                " are right no more often than by always naming the commonest class. They stand in no mean "
                "below.",
            ],
            cards,
            "warning",
        )
    yield from _inversions(tables, with_weights)
    yield from _attacks(tables)
    copies = models[models["same_weights_as"].notna()]
    for row in copies.head(5).itertuples():
        yield Sentence(
            CAREFUL,
            [
                model(row.name),
                " has the very weights of ",
                model(row.same_weights_as),
                "; it stands in no mean below.",
            ],
            cards,
            "warning",
        )
    if 1 < len(models) < 5:
        few = count(math.comb(len(models), 2), "pair")
        yield Sentence(
            CAREFUL,
            [
                f"With {len(models)} models there {'is' if len(models) == 2 else 'are'} {few}: intervals are "
                "over images alone, and nothing can be said of other models of the same make."
            ],
            (),
            "warning",
        )


def _inversions(tables: Tables, models: pd.DataFrame) -> Iterator[Sentence]:
    known = models[models["inversion_median_loss"].notna()]
    if not len(known):
        return
    evidence = [Link("losses", place("tables", table="inversions"))]
    failed = known[known["inversion_failed"].eq(True)].sort_values("inversion_median_loss", ascending=False)
    if not len(failed):
        worst = known.loc[known["inversion_median_loss"].astype(float).idxmax()]
        yield Sentence(
            CAREFUL,
            [
                f"Every inversion succeeded: the worst median relative loss of {len(known)} models is "
                f"{number(worst['inversion_median_loss'])} (",
                model(worst["name"]),
                ").",
            ],
            evidence,
            "nothing",
        )
        return
    yield Sentence(
        CAREFUL,
        [
            f"Inversion failed for {len(failed)} of {count(len(known), 'model')}: ",
            *listed(map(model, failed["name"])),
            ". What was made for them is no image that they take for its target, so a low similarity on it "
            "says nothing; it stands in no mean below.",
        ],
        evidence,
        "warning",
    )


def _attacks(tables: Tables) -> Iterator[Sentence]:
    models = tables["models"]
    for column in models.columns[models.columns.str.startswith("attack_success")]:
        weak = models[models[column] < STRONG].sort_values(column)
        if not len(weak):
            continue
        label = column.partition(":")[2]
        attack = f"The attack {label}" if label else "The attack"
        yield Sentence(
            CAREFUL,
            [
                f"{attack} fools {count(len(weak), 'model')} on less than {STRONG:.0%} of their own images, ",
                model(weak.iloc[0]["name"]),
                f" on {weak.iloc[0][column]:.0%}: similarity on its adversarial images rests on what it did "
                "change.",
            ],
            [Link("attack success", place("tables", table="models"))],
            "warning",
        )


# pairs


def _pairs(tables: Tables) -> Iterator[Sentence]:
    label, title = _leading(tables)
    kinds = _kinds(tables, label)
    if len(_apart(tables, label, kinds[0])) == 1:
        words = [*_one_pair(tables, label), "."]
        yield Sentence(PAIRS, words, [_heatmap(label, kinds[0])])
        return
    for kind in kinds:
        ends = _ends(tables, label, kind)
        if ends is None:
            continue
        best, worst = ends
        tied = _tied(tables, label, kind, best)
        hedge = (
            f"; the intervals of {count(tied, 'other pair')} overlap with that"
            if tied
            else ("; no other pair's interval overlaps with that" if math.isfinite(best["ci_low"]) else "")
        )
        yield Sentence(
            PAIRS,
            [
                f"{_on(kind).capitalize()}, {title} is ",
                "smallest" if _direction(tables, label) == "distance" else "highest",
                " for ",
                pair(best["model_a"], best["model_b"]),
                f" ({_value(best)}{hedge}) and ",
                "largest" if _direction(tables, label) == "distance" else "lowest",
                " for ",
                pair(worst["model_a"], worst["model_b"]),
                f" ({_value(worst)}).",
            ],
            [_heatmap(label, kind)],
        )
        yield from _unanimity(tables, kind, best)


def _unanimity(tables: Tables, kind: str, best: pd.Series) -> Iterator[Sentence]:
    named = {
        label: found[0]
        for label in tables["measures"]["measure"]
        if (found := _ends(tables, label, kind)) is not None
    }
    if len(named) < 2:
        return
    same = [label for label, row in named.items() if _set(row) == _set(best)]
    overlapping = [
        label for label in named if label not in same and _reaches(tables, label, kind, best, named[label])
    ]
    yield Sentence(
        PAIRS,
        [
            f"That pair is the most alike by {len(same)} of {len(named)} measures on "
            f"{in_words(kind)} images; by {len(overlapping) or 'none'} of the others its interval "
            "overlaps with the most alike's."
        ],
        [Link("where measures disagree", place("measures", kind=kind))],
        "finding" if len(same) + len(overlapping) == len(named) else "nothing",
    )


def _reaches(tables: Tables, label: str, kind: str, wanted: pd.Series, best: pd.Series) -> bool:
    """Whether the pair's interval by that measure overlaps with that of the measure's own best pair."""
    rows = _apart(tables, label, kind)
    here = rows[rows["model_a"].isin(_set(wanted)) & rows["model_b"].isin(_set(wanted))]
    return bool(((here["ci_low"] <= best["ci_high"]) & (here["ci_high"] >= best["ci_low"])).any())


def extremes(tables: Tables) -> pd.DataFrame:
    """The most and the least alike pair by each measure on each kind of probe.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        As of :func:`answer`.

    Returns
    -------
    DataFrame
        Columns kind, measure, title, most_a, most_b, most, tied (pairs whose intervals overlap with the first
        one's; missing without intervals), least_a, least_b, least; values as text with their intervals.
    """
    rows = []
    for kind in dict.fromkeys(tables["similarity"]["kind"]):
        for label, title in zip(tables["measures"]["measure"], tables["measures"]["title"], strict=True):
            ends = _ends(tables, label, kind)
            if ends is None:
                continue
            best, worst = ends
            tied = _tied(tables, label, kind, best) if math.isfinite(best["ci_low"]) else None
            rows.append(
                {"kind": kind, "measure": label, "title": _title(label, title), "tied": tied}
                | {"most_a": best["model_a"], "most_b": best["model_b"], "most": _value(best)}
                | {"least_a": worst["model_a"], "least_b": worst["model_b"], "least": _value(worst)}
            )
    return pd.DataFrame(rows)


def _one_pair(tables: Tables, label: str) -> list[str | Link]:
    """What is known of a study's only pair: its value on each kind of probe."""
    _, title = _leading(tables)
    said: list[str | Link] = []
    for kind in _kinds(tables, label):
        for _, row in _apart(tables, label, kind).iterrows():
            if not said:
                said = [pair(row["model_a"], row["model_b"]), f" have {title} "]
            else:
                said.append(", ")
            made = origin_of(kind) == "inverted"
            where = f"images inverted for {row['model_a']}" if made else f"{in_words(kind)} images"
            said.append(f"{_value(row)} on {where}")
    return said


# natural and inverted, standard and robust


def _inverted(tables: Tables) -> Iterator[Sentence]:
    label, title = _leading(tables)
    differences = tables["level_differences"].query("what == 'kind'")
    means = tables["level_means"]
    for row in differences[differences["measure"] == label].itertuples():
        here = means[(means["measure"] == label) & (means["level"] == row.level)].set_index("kind")
        now, before = here.loc[row.kind], here.loc[row.against]
        word, tone = _compared(tables, label, row)
        others = differences.query("kind == @row.kind and level == @row.level and measure != @label")
        yield Sentence(
            INVERTED,
            [
                f"{_level(row.level).capitalize()} are {word} alike on {in_words(row.kind)} images "
                f"than on {in_words(row.against)} ones: {title} {_mean(now)} against {_mean(before)}, "
                f"a difference of {number(row.difference)}{interval(row.low, row.high)} over "
                f"{count(row.pairs, 'pair')} of {row.models} models{_others(tables, others)}."
            ],
            [_heatmap(label, row.kind), Link("means", place("tables", table="level_differences"))],
            tone,
        )
    few = means.query("measure == @label and basis == 'range of pairs'")
    for level, part in few.groupby("level", sort=False):
        if part["pairs"].max() < 2:
            continue
        ranges = "; ".join(
            f"{number(row.low)} to {number(row.high)} on {in_words(row.kind)} images"
            for row in part.itertuples()
        )
        yield Sentence(
            INVERTED,
            [
                f"{_level(level).capitalize()}: {title} of their {count(int(part['pairs'].max()), 'pair')} "
                f"is {ranges}. {count(int(part['models'].max()), 'model')} are too few for an interval."
            ],
            [_heatmap(label, part["kind"].iloc[-1])],
            "nothing",
        )


def _robust(tables: Tables) -> Iterator[Sentence]:
    label, title = _leading(tables)
    differences = tables["level_differences"].query("what == 'level'")
    for row in differences[differences["measure"] == label].itertuples():
        word, tone = _compared(tables, label, row)
        others = differences.query("kind == @row.kind and level == @row.level and measure != @label")
        yield Sentence(
            ROBUST,
            [
                f"On {in_words(row.kind)} images {_level(row.level)} are {word} alike than standard "
                f"ones: {title} differs by "
                f"{number(row.difference)}{interval(row.low, row.high)}{_others(tables, others)}."
            ],
            [
                _heatmap(label, row.kind, order="level"),
                Link("means", place("tables", table="level_differences")),
            ],
            tone,
        )


def _compared(tables: Tables, label: str, row: Any) -> tuple[str, str]:
    """How alike, in words, after a difference with an interval; and the sentence's tone."""
    if row.low <= 0 <= row.high:
        return "not shown to be more or less", "nothing"
    return (
        "more" if (row.difference > 0) != (_direction(tables, label) == "distance") else "less"
    ), "finding"


def _others(tables: Tables, rows: pd.DataFrame) -> str:
    """What the other measures say of the same difference: a count of each answer."""
    said = [_compared(tables, row.measure, row)[0] for row in rows.itertuples()]
    if not said:
        return ""
    counts = {word: said.count(word) for word in ("more", "less")}
    undecided = len(said) - sum(counts.values())
    words = [f"{word} alike by {many}" for word, many in counts.items() if many]
    words += [f"undecided by {undecided}"] if undecided else []
    return f" (of {count(len(said), 'other measure')}: {', '.join(words)})"


# depth, components, groups


def _depth(tables: Tables) -> Iterator[Sentence]:
    rows = tables.get("layer_summary")
    if rows is not None:
        rows = rows[(rows["model_a"] != rows["model_b"]) & (rows["kind"] == "natural")]
        for (a, b), part in list(rows.groupby(["model_a", "model_b"], sort=False))[:FEW_PAIRS]:
            yield from _thirds(a, b, part.drop_duplicates("statistic").set_index("statistic"))
    if "stitching" in tables:
        pairs = tables["stitching"][["front", "end"]].drop_duplicates()
        yield Sentence(
            DEPTH,
            [
                f"{count(len(pairs), 'pair')} of front and end {'was' if len(pairs) == 1 else 'were'} "
                "stitched together at every block: the curves stand with each pair, beside their baselines."
            ],
            [Link("first pair", place("pair", a=pairs["front"].iloc[0], b=pairs["end"].iloc[0]))],
            "nothing",
        )


def _thirds(a: str, b: str, by_name: pd.DataFrame) -> Iterator[Sentence]:
    """Which third of two models' depth is more alike, the first or the last, and of random weights."""
    if not {"same_layer_first", "same_layer_last"} <= set(by_name.index):
        return
    first, last = by_name.loc["same_layer_first"], by_name.loc["same_layer_last"]
    apart = first["ci_low"] > last["ci_high"] or last["ci_low"] > first["ci_high"]
    more = "more" if first["value"] > last["value"] else "less"
    told = f"{more} alike in" if apart else "not shown to be more or less alike in"
    random = [number(row["untrained"]) for row in (first, last)]
    beside = "networks of random weights were not compared"
    if "unknown" not in random:
        beside = f"networks of random weights have {random[0]} and {random[1]}"
    yield Sentence(
        DEPTH,
        [
            "The same layers of ",
            pair(a, b),
            f" are {told} the first third of their depth than in the last, on natural images: CKA "
            f"{number(first['value'])}{interval(first['ci_low'], first['ci_high'])} against "
            f"{number(last['value'])}{interval(last['ci_low'], last['ci_high'])}; {beside}.",
        ],
        [Link("layer map", place("pair", a=a, b=b)), Link("summary", place("tables", table="layer_summary"))],
        "finding" if apart else "nothing",
    )


def _components(tables: Tables) -> Iterator[Sentence]:
    scores = tables.get("component_scores")
    if scores is None:
        return
    label, title = _leading(tables)
    for row in scores[(scores["measure"] == label) & scores["r2_new_models"].notna()].itertuples():
        evidence = [Link("scores", place("tables", table="component_scores"))]
        kind = _on(row.kind)
        if row.r2_new_models <= 0:
            words = (
                f"Components of the architectures say nothing of {title} {kind} of a model that "
                f"was not seen (R\N{SUPERSCRIPT TWO} {number(row.r2_new_models)})."
            )
        else:
            words = (
                f"Components of the architectures explain {row.r2_new_models:.0%} of the variance of {title} "
                f"{kind} for models that were not seen; how sure that is was not measured."
            )
        yield Sentence(ALIKE, [words], evidence, "nothing")


def _groups(tables: Tables) -> Iterator[Sentence]:
    stability = tables.get("cluster_stability")
    if stability is None or tables["models"]["same_weights_as"].isna().sum() < FEWEST_GROUPED:
        return
    label, title = _leading(tables)
    for row in stability[stability["measure"] == label].to_dict("records"):
        if not math.isfinite(row["ari_models_mean"]):
            continue
        where = f"{title} {_on(row['kind'])}"
        clusters = count(int(row["clusters"]), "cluster")
        stable = f"stability {number(row['ari_models_mean'])} (adjusted Rand index, models resampled"
        p = row.get("ari_models_p", math.nan)  # which studies have since there is a null
        if math.isfinite(p):
            shown = p <= SIGNIFICANT
            words = (
                f"By {where} the models {'form' if shown else 'are not shown to form'} groups: "
                f"{clusters}, {stable}; p {number(p)} against shuffled matrices)."
            )
        else:
            shown = False
            words = (
                f"By {where} the models fall into {clusters}, {stable}, with no null to hold it "
                "against): no evidence of groups by itself."
            )
        evidence = [Link("clusters", place("clusters", measure=label, kind=row["kind"]))]
        yield Sentence(GROUPS, [words], evidence, "finding" if shown else "nothing")


def _conclusions(tables: Tables) -> Iterator[Sentence]:
    rows = tables.get("conclusions")
    if rows is None:
        return
    evidence = [Link("conclusions by measure", place("tables", table="conclusions"))]
    known = rows[rows["decided"] > 0].drop_duplicates(["conclusion", "kind", "about"])
    for conclusion, of_one in known.groupby("conclusion", sort=False):
        said = []
        for under, part in of_one.groupby("under", sort=False):
            cases = (f"{row.about}, {_on(row.kind)} ({_counts(row)})" for row in part.itertuples())
            said.append(f"{_UNDER.get(under, under)}: {'; '.join(cases)}")
        yield Sentence(
            WHATEVER,
            [f"{conclusion.capitalize()}. {'. '.join(part[0].upper() + part[1:] for part in said)}."],
            evidence,
            "finding" if of_one["under"].eq("every measure").any() else "nothing",
        )


_UNDER = {
    "every measure": "holds under every measure",
    "some measures": "holds under some measures",
    "no measure": "not shown by any measure",
}


def _counts(row: Any) -> str:
    """Of how many measures it holds, and of how many the opposite."""
    opposite = f", the opposite by {row.opposite}" if row.opposite else ""
    return f"{row.holding} of {row.decided}{opposite}"


# advice


def _advice(tables: Tables) -> Iterator[Sentence]:
    rows = tables.get("recommendations")
    if rows is None:
        return
    evidence = [Link("recommendations", place("tables", table="recommendations"))]
    for row in rows.itertuples():
        gains = bool(row.gain_low > 0)
        names = row.models.split(",")
        teacher = row.use.startswith("teacher")
        gain = f"{_points(row.gain)} [{_points(row.gain_low)}, {_points(row.gain_high)}] percentage points"
        if not gains:
            known = math.isfinite(row.gain_low)
            words = [
                f"No {row.use} is recommended: ",
                *(
                    [
                        "the best, ",
                        *listed(map(model, names)),
                        f", gains {gain} over {row.against}, and its range holds 0.",
                    ]
                    if known
                    else ["what it would gain could not be measured."]
                ),
            ]
        elif teacher:
            words = [
                model(names[0]),
                f" is the {row.use} to choose: its students gain {gain} over the {row.against}, over "
                f"{row.n} {row.basis}, in {row.chosen_again:.0%} of which it is chosen again.",
            ]
        else:
            words = [
                "Choose ",
                *listed(map(model, names)),
                f" as the {row.use}: it gains {gain} over {row.against}.",
            ]
        yield Sentence(ADVICE, words, evidence, "finding" if gains else "nothing")


def _points(share: float) -> str:
    return number(100 * share)


# what all of these share


def _leading(tables: Tables) -> tuple[str, str]:
    """The label and the name of the measure that tells the answer: the study's first on inverted images."""
    known = tables["similarity"]
    of_kind = known[known["kind"] == "inverted"] if (known["kind"] == "inverted").any() else known
    having = set(of_kind["measure"])
    chosen = tables["measures"]
    first = next(row for row in chosen.itertuples() if row.measure in having)
    return first.measure, _title(first.measure, first.title)


def _title(label: str, title: str) -> str:
    """A measure's name in words, with the settings that its label has."""
    settings = label.partition("-")[2]
    return f"{title} ({settings})" if settings else title


def _direction(tables: Tables, label: str) -> str:
    return tables["measures"].set_index("measure").loc[label, "direction"]


def _kinds(tables: Tables, label: str) -> list[str]:
    rows = tables["similarity"]
    return list(dict.fromkeys(rows.loc[rows["measure"] == label, "kind"]))


def _apart(tables: Tables, label: str, kind: str) -> pd.DataFrame:
    """Rows of different models that say something: no copies, and no sources whose inversion failed."""
    rows, models = tables["similarity"], tables["models"]
    rows = rows[(rows["measure"] == label) & (rows["kind"] == kind) & (rows["model_a"] != rows["model_b"])]
    rows = rows[rows["value"].notna()]
    doubted = set(models.loc[models["same_weights_as"].notna() | models["at_chance"].eq(True), "name"])
    rows = rows[~rows["model_a"].isin(doubted) & ~rows["model_b"].isin(doubted)]
    if origin_of(kind) == "inverted":
        rows = rows[~rows["model_a"].isin(models.loc[models["inversion_failed"].eq(True), "name"])]
    return rows


def _ends(tables: Tables, label: str, kind: str) -> tuple[pd.Series, pd.Series] | None:
    """The rows of the most and the least alike pair, if there is one."""
    rows = _apart(tables, label, kind)
    if not len(rows):
        return None
    low, high = rows.loc[rows["value"].idxmin()], rows.loc[rows["value"].idxmax()]
    return (low, high) if _direction(tables, label) == "distance" else (high, low)


def _tied(tables: Tables, label: str, kind: str, best: pd.Series) -> int:
    """Other pairs whose intervals overlap with that of the best one."""
    rows = _apart(tables, label, kind)
    near = rows[(rows["ci_low"] <= best["ci_high"]) & (rows["ci_high"] >= best["ci_low"])]
    return len({_set(row) for _, row in near[["model_a", "model_b"]].iterrows()} - {_set(best)})


def _set(row: pd.Series) -> frozenset[str]:
    return frozenset((row["model_a"], row["model_b"]))


def _value(row: pd.Series) -> str:
    return number(row["value"]) + interval(row["ci_low"], row["ci_high"])


def _mean(row: pd.Series) -> str:
    return number(row["mean"]) + interval(row["low"], row["high"])


def _on(kind: str) -> str:
    return "in the imported table" if kind == IMPORTED else f"on {in_words(kind)} images"


def _level(level: str) -> str:
    return f"{level} models" if level == "standard" else f"robust models ({level})"


def _heatmap(label: str, kind: str, **state: object) -> Link:
    return Link("heatmap", place("heatmap", measure=label, kind=kind, **state))


def in_sections(sentences: Sequence[Sentence]) -> dict[str, list[Sentence]]:
    """Sentences by their section, in order."""
    found: dict[str, list[Sentence]] = {}
    for sentence in sentences:
        found.setdefault(sentence.section, []).append(sentence)
    return found
