"""Where models look: the cosine of their saliency maps on natural images."""

import numpy as np

from modelkin.figures import base
from modelkin.figures.base import Figure, plt, tables
from modelkin.figures.heatmaps import ordered, scale_of, whole

MEASURE = "saliency_cosine"


def draw(data, settings):
    """Left: pairs within each level, with 95 % intervals over images; right: all pairs."""
    rows = data["similarity"].query("measure == @MEASURE and model_a != model_b")
    pairs = tables.of_one_level(rows, data["models"])
    paired = set(tables.levels_of(pairs))
    found = [level for level in base.levels(data["models"]) if level in paired]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), width_ratios=(2, 3))
    for place, level in zip(base.eps_axis(left, found), found, strict=True):
        # An array, for pandas takes an empty list for no columns.
        here = np.array([each == level for each in tables.levels_of(pairs)], dtype=bool)
        part = pairs[here].sort_values("value")
        x = place + 0.3 * ((part["value"].rank() - 0.5) / max(len(part), 1) - 0.5)
        error = (part["value"] - part["ci_low"], part["ci_high"] - part["value"])
        left.errorbar(x, part["value"], error, fmt="o", ms=4, lw=0.8, color=base.level_colours(found)[level])
        if len(part) >= base.FEWEST_SPREAD:
            left.hlines(part["value"].mean(), place - 0.3, place + 0.3, color="k", lw=1.5)
    left.axhline(pairs["chance"].mean(), color="0.4", ls=":", lw=1.2)
    left.set(ylabel="saliency cosine", title="pairs of one level (dotted: chance)")
    order, changes = ordered(data, {"order": "level"}, MEASURE, "natural")
    labels = [base.names_of(data["models"])[name] for name in order]
    every = data["similarity"].query("measure == @MEASURE")
    low, high, extend = scale_of(every)
    image = base.square(right, whole(every).loc[order, order], labels, changes, vmin=low, vmax=high)
    figure.colorbar(image, ax=right, label="saliency cosine", extend=extend)
    figure.suptitle("Cosine of the gradients of the true label's loss with respect to the image")
    base.footnote(
        figure,
        f"n = {base.counted(rows.query('n > 0')['n'])} natural images; bars: 95 % interval over images; "
        f"lines: means of {base.FEWEST_SPREAD} pairs or more"
        + base.without_copies(data["models"]).replace("without", "left: without"),
    )
    return figure


FIGURE = Figure(
    title="Where models look",
    question="Do models look at the same pixels?",
    section="levels",
    tables=("models", "similarity"),
    draw=draw,
    fewest=2,
    settings=(),
    measure=MEASURE,
)
