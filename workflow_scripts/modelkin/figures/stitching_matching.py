"""Stitched accuracy against how well the same blocks match directly."""

from modelkin.figures import base
from modelkin.figures.base import Figure

CLEAN, ROBUST = "accuracy", "robust_accuracy"


def draw(data, settings):
    """Accuracy on natural and on attacked images against R2; a colour for each objective and start."""
    table = data["stitching"]
    rows = table[table["r2"].notna() & table["accuracy"].notna() & table["objective"].ne("linear probe")]
    kinds = [*dict.fromkeys(zip(rows["objective"], rows["start"].fillna(""), strict=True))]
    looks = zip(base.sns.color_palette(settings["palette"], len(kinds)), base.MARKERS * 3, strict=False)
    figure, axes = base.facets(2, width=3.6, height=3.2)
    for (objective, start), (colour, marker) in zip(kinds, looks, strict=False):
        own = rows[(rows["objective"] == objective) & (rows["start"].fillna("") == start)]
        label = f"{objective}, {base.start_in_words(start)}" if start else objective
        for axis, value in zip(axes, (CLEAN, ROBUST), strict=True):
            axis.scatter(
                own["r2"], own[value], color=colour, marker=marker, s=22, alpha=0.8, lw=0, label=label
            )
    for axis, label in zip(axes, ("natural images", "attacked images"), strict=True):
        axis.set(xlabel="R2 of direct matching", ylabel=f"accuracy, {label}", ylim=(-0.03, 1.03))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    figure.suptitle("Does a stitch work where blocks match?")
    base.footnote(figure, f"{len(rows)} stitches of {len(rows[['front', 'end']].drop_duplicates())} pairs")
    return figure


FIGURE = Figure(
    title="Stitched accuracy and matching",
    question="Does good matching mean good stitching?",
    section="stitching",
    tables=("stitching",),
    draw=draw,
)
