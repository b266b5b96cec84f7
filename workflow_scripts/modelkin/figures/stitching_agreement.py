"""Whom a head agrees with when it is given what another model computes (jones2022, Figs 7 and 8)."""

from __future__ import annotations

import numpy as np

from modelkin.analysis import tables
from modelkin.figures import base
from modelkin.figures.base import Figure, plt, sns

AGREED = (
    ("agreement_right", "body and head right", "o"),
    ("agreement_wrong", "one wrong answer", "s"),
)
DIFFERED = (
    ("agreement_differ", "as the head", "o"),
    ("differ_body", "as the body", "s"),
    ("differ_neither", "as neither", "^"),
)


def draw(data, settings):
    """Agreement by level where body and head agree and where they differ; accuracy; and across levels."""
    models, rows = data["models"], data["stitching_agreement"]
    rows = rows[rows["agreement_all"].notna()]
    names = set(tables.distinct(models)["name"])
    rows = rows[rows["body"].isin(names) & rows["head"].isin(names)]
    if rows.empty:
        return base.only_words(FIGURE.title, "no two different models have a map")
    of = tables.model_levels(models)
    rows = rows.assign(level_body=rows["body"].map(of), level_head=rows["head"].map(of))
    within = rows[rows["level_body"] == rows["level_head"]]
    across = len(within) < len(rows)
    figure, axes = plt.subplots(1, 2 * (not within.empty) + 1 + across, squeeze=False)
    figure.set_size_inches(3.6 * axes.size, 3.2)
    left = list(axes.flat)
    if not within.empty:
        _by_level(left.pop(0), within, AGREED, "where body and head agree", settings)
        _by_level(left.pop(0), within, DIFFERED, "where they differ", settings)
    _accuracy(left.pop(0), rows)
    if across:
        _levels(figure, left.pop(0), rows)
    figure.suptitle("A head that is given another model's representations, mapped by least squares")
    base.footnote(
        figure,
        f"{len(rows)} ordered pairs, {len(within)} of one level; bars: standard error over pairs, beside "
        f"accuracy 95 % Wilson intervals; images: "
        f"{base.counted(rows['n'])}, of which body and head differ on {base.counted(rows['n_differ'])}"
        f"{base.without_copies(models)}",
    )
    return figure


def _by_level(axis, rows, shown, title, settings) -> None:
    """Mean and standard error over pairs, the pairs themselves behind."""
    found = sorted(set(rows["level_head"]))
    places = base.eps_axis(axis, found)
    for shift, ((column, label, marker), colour) in enumerate(
        zip(shown, sns.color_palette(settings["palette"], len(shown)), strict=True)
    ):
        groups = [rows.loc[rows["level_head"] == level, column].dropna() for level in found]
        x = places + 0.12 * (shift - (len(shown) - 1) / 2)
        for place, values in zip(x, groups, strict=True):
            axis.scatter(np.full(len(values), place), values, color=colour, s=7, alpha=0.3, lw=0)
        bars = [each.sem() if len(each) > 1 else 0 for each in groups]
        means = [each.mean() for each in groups]
        axis.errorbar(x, means, bars, color=colour, marker=marker, ms=5, lw=1.2, capsize=2, label=label)
    axis.set(ylim=(-0.03, 1.03), ylabel="share of images answered so", title=title)
    axis.legend(fontsize=7)


def _accuracy(axis, rows) -> None:
    """The confounder: a head that is right where two models differ is agreed with for that."""
    colours = base.level_colours(sorted({*rows["level_body"], *rows["level_head"]}))
    for level, own in rows.groupby("level_head"):
        axis.errorbar(
            own["differ_head_right"],
            own["agreement_differ"],
            [
                (own["agreement_differ"] - own["agreement_differ_low"]).clip(lower=0),
                (own["agreement_differ_high"] - own["agreement_differ"]).clip(lower=0),
            ],
            color=colours[level],
            ls="",
            marker="o",
            ms=4,
            lw=0.6,
            label=str(level),
        )
    axis.legend(title="eps of the head", fontsize=7)
    axis.set(
        xlim=(-0.03, 1.03),
        ylim=(-0.03, 1.03),
        xlabel="share on which the head is right",
        ylabel="answered as the head",
        title="where they differ: accuracy",
    )


def _levels(figure, axis, rows) -> None:
    """Agreement where they differ, by the levels of body and head."""
    grid = rows.pivot_table(index="level_body", columns="level_head", values="agreement_differ")
    image = axis.imshow(grid, cmap="viridis", vmin=0, vmax=1)
    axis.set_xticks(range(grid.shape[1]), list(map(str, grid.columns)))
    axis.set_yticks(range(grid.shape[0]), list(map(str, grid.index)))
    for (row, column), value in np.ndenumerate(grid.to_numpy(float)):
        if value == value:
            colour = "black" if value > 0.6 else "white"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axis.set(xlabel="eps of the head", ylabel="eps of the body", title="where they differ: as the head")
    figure.colorbar(image, ax=axis, shrink=0.8)


FIGURE = Figure(
    title="Heads on other models' representations",
    question="Whom does a head agree with that is given another model's representations?",
    section="stitching",
    tables=("models", "stitching_agreement"),
    draw=draw,
    fewest=2,
)
