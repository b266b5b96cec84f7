"""Stitched accuracy against how alike the same blocks are by layer-by-layer CKA."""

from modelkin.figures import base
from modelkin.figures.base import Figure, plt

BASELINES = ("random front", "random end", "linear probe")
PLACE = ["front", "end", "front_block", "end_block"]


def draw(data, settings):
    """Accuracy on natural and attacked images against the CKA of the two blocks, beside direct matching."""
    rows = with_cka(data["stitching"], data["layer_maps"])
    rows = rows[rows["cka"].notna()]
    if rows.empty:
        return base.only_words(FIGURE.title, "no stitched pair is compared layer by layer at its blocks")
    kinds = [*dict.fromkeys(zip(rows["objective"], rows["start"].fillna(""), strict=True))]
    colours = base.sns.color_palette(settings["palette"], len(kinds))
    figure, axes = plt.subplots(1, 3, figsize=(10.8, 3.2))
    shown = (("accuracy", "accuracy, natural images"), ("robust_accuracy", "accuracy, attacked images"))
    for number, ((objective, start), colour) in enumerate(zip(kinds, colours, strict=True)):
        own = rows[(rows["objective"] == objective) & (rows["start"].fillna("") == start)]
        look = {"color": colour, "marker": base.MARKERS[number % len(base.MARKERS)], "s": 22, "alpha": 0.8}
        label = f"{objective}, {base.start_in_words(start)}" if start else objective
        for axis, (value, _) in zip(axes, shown, strict=False):
            axis.scatter(own["cka"], own[value], lw=0, label=label, **look)
    for axis, (_, label) in zip(axes, shown, strict=False):
        axis.set(ylabel=label, ylim=(-0.03, 1.03))
    places = rows.drop_duplicates(PLACE)
    axes[2].scatter(places["cka"], places["r2"], color="0.3", s=22, lw=0)
    axes[2].set(ylabel="R2 of direct matching")
    for axis in axes:
        axis.set(xlabel="CKA of the two blocks, natural images")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    figure.suptitle("Does a stitch work where blocks are alike?")
    base.footnote(
        figure,
        f"{len(places)} places of {len(rows[['front', 'end']].drop_duplicates())} pairs; a network of random "
        "weights has another CKA and is left out",
    )
    return figure


def with_cka(stitches, maps):
    """The rows of stitches whose two blocks are in a map of natural images, with its value."""
    own = maps["snapshot"].isna() & maps["kind"].eq("natural") & maps["measure"].eq("layer_cka")
    maps = maps[own]
    values = maps[["model_a", "model_b", "layer_a", "layer_b", "value"]]
    sides = [dict(zip(values, [*order, "cka"], strict=True)) for order in (PLACE, _other_way())]
    known = base.pd.concat([values.rename(columns=side) for side in sides])
    known = known.drop_duplicates(PLACE)
    rows = stitches[stitches["accuracy"].notna() & ~stitches["objective"].isin(BASELINES)]
    return rows.merge(known, on=PLACE, how="inner")


def _other_way() -> list[str]:
    front, end, front_block, end_block = PLACE
    return [end, front, end_block, front_block]


FIGURE = Figure(
    title="Stitched accuracy and layer-by-layer similarity",
    question="Does layer-by-layer similarity mean good stitching?",
    section="stitching",
    tables=("stitching", "layer_maps"),
    draw=draw,
)
