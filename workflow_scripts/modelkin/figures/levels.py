"""The spread of similarity within each robustness level."""

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, sns, tables


def draw(data, settings):
    """A panel for each measure: boxes of all pairs of one level, natural and inverted."""
    rows = tables.with_levels(data["similarity"], data["models"]).query("eps_a == eps_b")
    rows = rows.assign(eps=rows["eps_a"].map("{:g}".format))
    order = [f"{eps:g}" for eps in base.levels(data["models"])]
    names = base.in_order(data["similarity"])
    looks = base.kind_looks(rows, settings["palette"])
    figure, axes = base.facets(len(names))
    for axis, measure in zip(axes, names, strict=True):
        part = rows[rows["measure"] == measure]
        kinds = base.kinds_in(part)
        sns.boxplot(
            part,
            x="eps",
            y="value",
            hue="kind",
            order=order,
            hue_order=kinds,
            palette={kind: look["color"] for kind, look in looks.items()},
            fliersize=2,
            linewidth=0.8,
            legend=axis is axes[0] or any(map(probe_kinds.attack_of, kinds)),
            ax=axis,
        )
        title, direction = base.describe(measure)
        axis.set(title=title, ylabel=direction, xlabel="robustness level eps")
    base.kind_legend(figure, *axes)
    figure.suptitle("Pairs of different models of one robustness level")
    pairs = rows.groupby(["kind", "measure", "eps"]).size().groupby("kind").max()
    counted = ", ".join(f"{count} {probe_kinds.in_words(kind)}" for kind, count in pairs.items())
    base.footnote(
        figure,
        f"pairs in a box: {counted} (inverted: both directions); box: quartiles; whiskers: 1.5 times the box",
    )
    return figure


FIGURE = Figure(
    title="Similarity by level",
    section="levels",
    tables=("models", "similarity"),
    draw=draw,
    of_levels=True,
)
