"""Similarity within architectures and across them (hwang2024, Table 2)."""

import numpy as np

from modelkin import probe_kinds
from modelkin.analysis import relations
from modelkin.figures import base
from modelkin.figures.base import Figure, tables

TITLE = "Two models that differ in ..."


def draw(data, settings):
    """A panel for each measure: every pair of models by how the two are related."""
    known = tables.of_distinct(data["similarity"], data["models"])
    pairs = tables.both_directions(known).query("model_a < model_b").dropna(subset="value")
    pairs = pairs.assign(relation=relations.pair_relations(pairs, data["models"]))
    if pairs.empty:
        return base.only_words(TITLE, "no pair of models has a value")
    names = base.in_order(pairs)
    found = [relation for relation in relations.RELATIONS if relation in set(pairs["relation"])]
    looks = base.kind_looks(pairs, settings["palette"])
    figure, axes = base.facets(len(names), width=3.1, height=2.7)
    for axis, measure in zip(axes, names, strict=True):
        here = pairs[pairs["measure"] == measure]
        kinds = base.kinds_in(here)
        for shift, kind in enumerate(kinds):
            of_kind = here[here["kind"] == kind]
            well = of_kind["value"].mask(of_kind["inversion_failed"])
            values, hollow = (
                [some[of_kind["relation"] == relation].dropna() for relation in found]
                for some in (well, of_kind["value"].where(of_kind["inversion_failed"]))
            )
            place = 0.16 * (shift - (len(kinds) - 1) / 2)
            base.strip(axis, values, looks[kind], label=kind, shift=place, hollow=hollow)
            nulls = data["relations"].query("measure == @measure and kind == @kind and structure == 'all'")
            # Of all pairs, so that it stands beside no mean of some.
            nulls = nulls.query("pairs == pairs_inverted and pairs >= @base.FEWEST_SPREAD")
            nulls = nulls.set_index("relation").reindex(found)
            places = np.arange(len(found)) + place
            axis.vlines(places, nulls["null_low"], nulls["null_high"], color="0.8", lw=5, zorder=0)
        title, direction = base.describe(measure)
        axis.set(title=title, ylabel=direction, xlim=(-0.5, len(found) - 0.5))
        axis.set_xticks(range(len(found)), [relation.replace(" ", "\n") for relation in found])
    shown = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    figure.legend(shown.values(), map(probe_kinds.in_words, shown), title="probe", loc="outside right center")
    figure.suptitle(TITLE)
    counts = pairs[~pairs["inversion_failed"]].groupby(["relation", "measure", "kind"]).size()
    base.footnote(
        figure,
        f"points: pairs; from {base.FEWEST_SPREAD} of them on faint, with a mark at their mean, its standard "
        "deviation,\nand in grey 95 % of the means of permuted models; pairs "
        + ", ".join(f"{relation}: {base.counted(counts.get(relation, []))}" for relation in found)
        + base.without_failed(known)
        + base.without_copies(data["models"]),
    )
    return figure


FIGURE = Figure(
    title="Training and architecture",
    question="Does another start, another training or another architecture make the difference?",
    section="levels",
    tables=("models", "similarity", "relations"),
    draw=draw,
    fewest=2,
)
