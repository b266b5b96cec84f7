"""Similarity within architectures and across them (hwang2024, Table 2 and Fig. 5)."""

from modelkin import relations
from modelkin.figures import base
from modelkin.figures.base import Figure


def draw(data, settings):
    """A panel for each measure: mean and standard deviation over the pairs of each relation."""
    rows = data["relations"].query("structure == 'all'")
    names = base.in_order(rows)
    found = [relation for relation in relations.RELATIONS if relation in set(rows["relation"])]
    looks = base.kind_looks(rows, settings["palette"])
    figure, axes = base.facets(len(names), width=3.1, height=2.7)
    for axis, measure in zip(axes, names, strict=True):
        here = rows[rows["measure"] == measure]
        kinds = base.kinds_in(here)
        for shift, kind in enumerate(kinds):
            part = here[here["kind"] == kind].set_index("relation").reindex(found)
            places = [place + 0.16 * (shift - (len(kinds) - 1) / 2) for place in range(len(found))]
            axis.errorbar(places, part["mean"], part["sd"], ls="", capsize=2, label=kind, **looks[kind])
        title, direction = base.describe(measure)
        axis.set(title=title, ylabel=direction, xlim=(-0.5, len(found) - 0.5))
        axis.set_xticks(range(len(found)), [relation.replace(" ", "\n") for relation in found])
    shown = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    figure.legend(shown.values(), shown.keys(), title="probe", loc="outside right upper")
    figure.suptitle("Two models that differ in ...")
    counts = rows.groupby("relation")["pairs"].max()
    base.footnote(
        figure,
        "mean and standard deviation over pairs; "
        + ", ".join(f"{relation}: {counts[relation]}" for relation in found),
    )
    return figure


FIGURE = Figure(title="Training and architecture", section="levels", needs=("models", "relations"), draw=draw)
