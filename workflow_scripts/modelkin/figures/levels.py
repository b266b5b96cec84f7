"""The spread of similarity within each robustness level."""

import numpy as np

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, tables

TITLE = "Pairs of different models of one robustness level"


def draw(data, settings):
    """A panel for each measure: boxes of all pairs of one level, natural and inverted; points of few."""
    rows = tables.of_one_level(data["similarity"], data["models"])
    if not rows["value"].notna().any():
        return base.only_words(TITLE, "no two models of one level have a value")
    rows = rows.assign(level=list(map(str, tables.levels_of(rows))))
    every_level = list(map(str, base.levels(data["models"])))
    order = [level for level in every_level if level in set(rows.dropna(subset="value")["level"])]
    names = base.in_order(data["similarity"])
    looks = base.kind_looks(rows, settings["palette"])
    figure, axes = base.facets(len(names))
    for axis, measure in zip(axes, names, strict=True):
        every = rows[rows["measure"] == measure]
        kinds = base.kinds_in(every)
        width = 0.8 / len(kinds)
        for number, kind in enumerate(kinds):
            places = np.arange(len(order)) + width * (number - (len(kinds) - 1) / 2)
            _column(axis, every[every["kind"] == kind], order, places, width, looks[kind]["color"])
            axis.scatter([], [], marker="s", color=looks[kind]["color"], label=kind)
        axis.set_xticks(range(len(order)), order)
        title, direction = base.describe(measure)
        axis.set(title=title, ylabel=direction, xlabel="robustness level eps")
    base.kind_legend(figure, *axes)
    figure.suptitle(TITLE)
    # In each box, or where its points stand: what is drawn, not what there is.
    boxes = (
        rows[~tables.failed_sources(rows)].dropna(subset="value").groupby(["kind", "measure", "level"]).size()
    )
    counted = ", ".join(
        f"{base.counted(boxes.loc[kind])} {probe_kinds.in_words(kind)}"
        for kind in base.kinds_in(boxes.reset_index())
    )
    alone = [level for level in every_level if level not in order]
    base.footnote(
        figure,
        f"pairs of a level: {counted} (inverted: both directions); box: quartiles, from {base.FEWEST_SPREAD} "
        "on, fewer as points;\nwhiskers: 1.5 times the box"
        + (f"; no two models with a value: {', '.join(alone)}" if alone else "")
        + base.without_failed(rows)
        + base.without_copies(data["models"]),
    )
    return figure


def _column(axis, rows, order, places, width, colour) -> None:
    """The pairs of one kind at the place of each level: a box of many, points of few, hollow ones of failed
    sources.
    """
    failed = tables.failed_sources(rows)
    for level, place in zip(order, places, strict=True):
        here = rows["level"] == level
        values, hollow = rows.loc[here & ~failed, "value"].dropna(), rows.loc[here & failed, "value"]
        if len(values) >= base.FEWEST_SPREAD:
            axis.boxplot(
                values,
                positions=[place],
                widths=0.9 * width,
                patch_artist=True,
                manage_ticks=False,
                boxprops={"facecolor": colour, "lw": 0.8},
                medianprops={"color": "k", "lw": 0.8},
                flierprops={"markersize": 2},
            )
        else:
            axis.scatter([place] * len(values), values, s=14, lw=0, color=colour)
        axis.scatter([place] * len(hollow), hollow, s=22, lw=0.7, facecolors="none", edgecolors=colour)


FIGURE = Figure(
    title="Similarity by level",
    question="Are more robust models more alike, on natural and on inverted images?",
    section="levels",
    tables=("models", "similarity"),
    draw=draw,
    fewest=2,
    of_levels=True,
)
