"""Similarity against robustness, on natural and on inverted images."""

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure


def draw(data, settings):
    """A panel for each measure; mean and standard deviation over pairs of one level."""
    summary = data["summary"]
    names = base.in_order(data["similarity"])
    found = base.levels(data["models"])
    looks = base.kind_looks(summary, settings["palette"])
    figure, axes = base.facets(len(names))
    for axis, measure in zip(axes, names, strict=True):
        where = dict(zip(found, base.eps_axis(axis, found), strict=True))
        part = summary[summary["measure"] == measure]
        for kind in base.kinds_in(part):
            rows = part[part["kind"] == kind]
            x = rows["eps"].map(where)
            axis.errorbar(
                x,
                rows["mean"],
                rows["sd"],
                **looks[kind],
                capsize=3,
                label=kind,
            )
            axis.plot(x, rows["chance"], color=looks[kind]["color"], ls=":", lw=1.2)
        title, direction = base.describe(measure)
        axis.set(title=title, ylabel=direction)
    base.kind_legend(figure, *axes)
    figure.suptitle("Similarity of different models of one robustness level")
    # Nobody says on how many images an imported table rests.
    counts = summary[summary["n"] > 0].groupby("kind")["n"].first()
    samples = ", ".join(f"{count} {probe_kinds.in_words(kind)} images" for kind, count in counts.items())
    said = ["mean and standard deviation over pairs", samples, "dotted: chance, samples permuted"]
    base.footnote(figure, "; ".join(said if samples else said[:1]))
    return figure


FIGURE = Figure(
    title="Similarity against robustness",
    section="levels",
    tables=("models", "similarity", "summary"),
    draw=draw,
    of_levels=True,
)
