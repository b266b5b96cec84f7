"""Who sees whose images: level of the source by level of the observer (jones2022, Fig. 6)."""

from modelkin.figures import base
from modelkin.figures.base import Figure


def draw(data, settings):
    """A grid for each measure, each cell the mean over pairs of different models."""
    table = data["asymmetry"]
    names = [name for name in base.in_order(data["similarity"]) if name in set(table["measure"])]
    figure, axes = base.facets(len(names), width=2.9, height=2.7)
    for axis, measure in zip(axes, names, strict=True):
        rows = table[table["measure"] == measure]
        grid = rows.pivot_table(index="source_eps", columns="observer_eps", values="mean")
        title, direction = base.describe(measure)
        top = {"vmin": 0, "vmax": 1} if direction == "similarity" else {"vmin": 0}
        image = axis.imshow(grid, cmap="viridis", **top)
        for row, values in enumerate(grid.to_numpy()):
            for column, value in enumerate(values):
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
        axis.set_xticks(range(len(grid.columns)), [f"{eps:g}" for eps in grid.columns])
        axis.set_yticks(range(len(grid.index)), [f"{eps:g}" for eps in grid.index])
        axis.spines[:].set_visible(False)
        axis.set(
            title=f"{title}" + ("" if direction == "similarity" else " (distance)"),
            xlabel="observer eps",
            ylabel="source eps",
        )
    figure.suptitle("Inverted images of a source, seen by an observer")
    base.footnote(
        figure,
        f"means over pairs of different models, n = {table['n'].iloc[0]} images; rows and columns: levels",
    )
    return figure


FIGURE = Figure(
    title="Source by observer",
    section="levels",
    tables=("similarity", "asymmetry"),
    draw=draw,
    settings=(),
)
