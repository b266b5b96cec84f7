"""The spread of similarity within each robustness level."""

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, sns, tables

TITLE = "Pairs of different models of one robustness level"


def draw(data, settings):
    """A panel for each measure: boxes of all pairs of one level, natural and inverted."""
    rows = tables.of_one_level(data["similarity"], data["models"])
    if not rows["value"].notna().any():
        return base.only_words(TITLE, "no two models of one level have a value")
    rows = rows.assign(level=list(map(str, tables.levels_of(rows))))
    order = list(map(str, base.levels(data["models"])))
    names = base.in_order(data["similarity"])
    looks = base.kind_looks(rows, settings["palette"])
    figure, axes = base.facets(len(names))
    for axis, measure in zip(axes, names, strict=True):
        every = rows[rows["measure"] == measure]
        part = every[~tables.failed_sources(every)]
        kinds = base.kinds_in(every)
        sns.boxplot(
            part,
            x="level",
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
        hollow = every[tables.failed_sources(every)]
        if not hollow.empty:
            sns.stripplot(
                hollow,
                x="level",
                y="value",
                hue="kind",
                order=order,
                hue_order=kinds,
                dodge=True,
                jitter=False,  # it is drawn from numpy's own generator, differently each time
                palette={kind: look["color"] for kind, look in looks.items()},
                marker="$\\circ$",
                size=6,
                legend=False,
                ax=axis,
            )
        title, direction = base.describe(measure)
        axis.set(title=title, ylabel=direction, xlabel="robustness level eps")
    base.kind_legend(figure, *axes)
    figure.suptitle(TITLE)
    # A box for each level: what is drawn in it, not what there is.
    boxes = (
        rows[~tables.failed_sources(rows)].dropna(subset="value").groupby(["kind", "measure", "level"]).size()
    )
    counted = ", ".join(
        f"{base.counted(boxes.loc[kind])} {probe_kinds.in_words(kind)}"
        for kind in base.kinds_in(boxes.reset_index())
    )
    base.footnote(
        figure,
        f"pairs in a box: {counted} (inverted: both directions); box: quartiles; whiskers: 1.5 times the box"
        + base.without_failed(rows)
        + base.without_copies(data["models"]),
    )
    return figure


FIGURE = Figure(
    title="Similarity by level",
    question="Are more robust models more alike, on natural and on inverted images?",
    section="levels",
    tables=("models", "similarity"),
    draw=draw,
    fewest=2,
    of_levels=True,
)
