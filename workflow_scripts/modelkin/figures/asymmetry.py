"""Who sees whose images: level of the source by level of the observer (jones2022, Fig. 6)."""

import numpy as np

from modelkin.figures import base
from modelkin.figures.base import Figure, tables

TITLE = "Inverted images of a source, seen by an observer"


def draw(data, settings):
    """A grid for each measure, each cell the mean over pairs of different models."""
    table = data["asymmetry"].dropna(subset="mean_inverted")
    if table.empty:
        return base.only_words(TITLE, "no pair of models has a value on images whose inversion did not fail")
    levels = base.levels(data["models"])
    written = list(map(str, levels))
    for role in ("source", "observer"):
        of_role = table.rename(columns={f"{role}_eps": "eps", f"{role}_norm": "norm"})
        table = table.assign(**{role: list(map(levels.index, tables.levels_of(of_role)))})
    names = [name for name in base.in_order(data["similarity"]) if name in set(table["measure"])]
    figure, axes = base.facets(len(names), width=2.9, height=2.7)
    for axis, measure in zip(axes, names, strict=True):
        rows = table[table["measure"] == measure]
        grid = rows.pivot_table(index="source", columns="observer", values="mean_inverted")
        title, direction = base.describe(measure)
        top = {"vmin": 0, "vmax": 1} if direction == "similarity" else {"vmin": 0}
        image = axis.imshow(grid, cmap="viridis", **top)
        for row, values in enumerate(grid.to_numpy()):
            for column, value in enumerate(values):
                if np.isnan(value):
                    continue
                light = image.norm(value) < 0.6
                axis.text(
                    column,
                    row,
                    f"{value:.2f}",
                    ha="center",
                    va="center",
                    color="w" if light else "k",
                    fontsize=8,
                )
        axis.set_xticks(range(len(grid.columns)), [written[place] for place in grid.columns])
        axis.set_yticks(range(len(grid.index)), [written[place] for place in grid.index])
        axis.spines[:].set_visible(False)
        axis.set(
            title=f"{title}" + ("" if direction == "similarity" else " (distance)"),
            xlabel="observer eps",
            ylabel="source eps",
        )
    figure.suptitle(TITLE)
    pairs = tables.of_distinct(data["similarity"], data["models"]).query(
        "kind == 'inverted' and model_a != model_b and n > 0"
    )
    shown = pairs[~tables.failed_sources(pairs)]
    base.footnote(
        figure,
        f"means over pairs of different models, n = {base.counted(shown['n'])} images; rows and columns: "
        "levels"
        + base.without_failed(pairs).replace("hollow: with", "without")
        + base.without_copies(data["models"]),
    )
    return figure


FIGURE = Figure(
    title="Source by observer",
    question="Does it matter whose inverted images a pair is shown?",
    section="levels",
    tables=("similarity", "asymmetry"),
    draw=draw,
    fewest=2,
    settings=(),
)
