"""Similarity against robustness, on natural and on inverted images."""

from modelkin.figures import base
from modelkin.figures.base import Figure, tables

TITLE = "Similarity of different models of one robustness level"


def draw(data, settings):
    """A panel for each measure; mean and standard deviation over pairs of one level."""
    summary = data["summary"]
    if not summary["mean"].notna().any():
        return base.only_words(TITLE, "no two models of one level have a value")
    names = base.in_order(data["similarity"])
    found = base.levels(data["models"])
    looks = base.kind_looks(summary, settings["palette"])
    figure, axes = base.facets(len(names))
    for axis, measure in zip(axes, names, strict=True):
        where = dict(zip(found, base.eps_axis(axis, found), strict=True))
        part = summary[summary["measure"] == measure]
        for kind in base.kinds_in(part):
            rows = part[part["kind"] == kind]
            x = [where[level] for level in tables.levels_of(rows)]
            axis.errorbar(
                x,
                rows["mean_inverted"],
                rows["sd_inverted"],
                **looks[kind],
                capsize=3,
                label=kind,
            )
            both = rows["mean"].where(rows["pairs_inverted"].between(1, rows["pairs"] - 1))
            hollow = {"ls": "", "mfc": "none", "marker": looks[kind]["marker"]}
            axis.plot(x, both, color=looks[kind]["color"], **hollow)
            axis.plot(x, rows["chance"], color=looks[kind]["color"], ls=":", lw=1.2)
        title, direction = base.describe(measure)
        axis.set(title=title, ylabel=direction)
    base.kind_legend(figure, *axes)
    figure.suptitle(TITLE)
    pairs = tables.of_one_level(data["similarity"], data["models"])
    samples = base.samples_in_words(pairs)
    said = ["mean and standard deviation over pairs", samples, "dotted: chance, samples permuted"]
    base.footnote(
        figure,
        "; ".join(said if samples else said[:1])
        + base.without_failed(pairs)
        + base.without_copies(data["models"]),
    )
    return figure


FIGURE = Figure(
    title="Similarity against robustness",
    question="How does similarity change with robustness, in the mean of all pairs?",
    section="levels",
    tables=("models", "similarity", "summary"),
    draw=draw,
    fewest=2,
    of_levels=True,
)
