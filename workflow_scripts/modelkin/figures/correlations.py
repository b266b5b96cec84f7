"""How well each measure foretells what an ensemble of two gains, side by side (hwang2024, Fig. 10)."""

import numpy as np

from modelkin.figures import base
from modelkin.figures.base import Figure, plt


def draw(data, settings):
    """A row for each measure and kind of probe: Pearson and Spearman correlations with their intervals."""
    rows = data["ensemble_correlations"]
    # Distances turned round, so that left is always: alike models gain less.
    signs = {
        measure: 1 if base.describe(measure)[1] == "similarity" else -1 for measure in set(rows["measure"])
    }
    rows = rows.assign(sign=rows["measure"].map(signs)).iloc[::-1]
    looks = base.kind_looks(rows, settings["palette"])
    places = np.arange(len(rows))
    figure, axes = plt.subplots(1, 2, figsize=(9, 0.22 * len(rows) + 1.6), sharey=True)
    for axis, name in zip(axes, ("pearson", "spearman"), strict=True):
        value = rows[name] * rows["sign"]
        ends = np.sort(rows[[f"{name}_low", f"{name}_high"]].to_numpy() * rows[["sign"]].to_numpy(), axis=1)
        for kind in base.kinds_in(rows):
            here = (rows["kind"] == kind).to_numpy()
            axis.hlines(places[here], ends[here, 0], ends[here, 1], color=looks[kind]["color"], lw=1.5)
            axis.plot(value[here], places[here], ls="", ms=5, label=kind, **looks[kind])
        axis.axvline(0, color="0.5", lw=0.8)
        axis.set(title=f"{name.title()} correlation", xlim=(-1.02, 1.02))
        axis.grid(axis="y", color="0.93", lw=0.6)
        axis.set_axisbelow(True)
    signed = ["" if sign > 0 else " (sign turned)" for sign in rows["sign"]]
    axes[0].set_yticks(
        places, [base.describe(m)[0] + turned for m, turned in zip(rows["measure"], signed, strict=True)]
    )
    for axis, name in zip(axes, ("pearson", "spearman"), strict=True):
        for place, p in zip(places, rows[f"{name}_p"], strict=True):
            axis.text(1.02, place, "" if np.isnan(p) else f"p {p:.2g}", fontsize=6.5, va="center")
    base.kind_legend(figure, axes[1])
    figure.suptitle("What similarity says of the gain of an ensemble of two")
    base.footnote(
        figure,
        f"correlation with the error reduction rate over {base.counted(rows['n'])} pairs; "
        "bars: 95 % intervals, models resampled; p: models permuted;\n"
        "below 0: models that are alike gain less" + base.without_copies(data["models"]),
    )
    return figure


FIGURE = Figure(
    title="Measures and ensembles of two",
    question="By which measure does similarity tell what an ensemble gains?",
    section="ensembles",
    tables=("models", "ensemble_correlations"),
    draw=draw,
    fewest=4,
)
