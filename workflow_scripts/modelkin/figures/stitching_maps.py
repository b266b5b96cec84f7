"""How well blocks of one model match those of another, every one with every one."""

from modelkin.figures import base
from modelkin.figures.base import Figure


def draw(data, settings):
    """A map for each pair: R2 of direct matching on test images, the front's blocks against the end's."""
    table = data["stitching_matching"]
    table = table[table["family"] == "least_squares"]
    pairs = base.stitched_pairs(table)
    figure, axes = base.facets(len(pairs), width=3.6, height=3.2)
    for axis, (title, rows) in zip(axes, pairs.items(), strict=True):
        front, end = rows[["front", "end"]].iloc[0]
        grid = rows.pivot(index="front_block", columns="end_block", values="r2")
        grid = grid.loc[
            [*dict.fromkeys(rows["front_block"])],
            [*dict.fromkeys(rows.sort_values("end_depth")["end_block"])],
        ]
        image = axis.imshow(grid, cmap="viridis", vmin=0, vmax=1)
        axis.set_xticks(range(grid.shape[1]), grid.columns, rotation=90, fontsize=6)
        axis.set_yticks(range(grid.shape[0]), grid.index, fontsize=6)
        axis.set(xlabel=f"block of {end}", ylabel=f"block of {front}", title=title)
        for at in rows[rows["stitched_here"]].itertuples():
            place = (list(grid.columns).index(at.end_block), list(grid.index).index(at.front_block))
            axis.plot(*place, marker="o", ms=3, color="white", mec="black", mew=0.5)
        figure.colorbar(image, ax=axis, shrink=0.8, label="R2, test images")
    figure.suptitle("Direct matching: share of the end's variance that an affine map of the front gives")
    base.footnote(
        figure, "dots: where the pair is stitched; values below 0 are drawn as 0; no colour: no map"
    )
    return figure


FIGURE = Figure(
    title="Direct matching",
    question="Which blocks of two models match?",
    section="stitching",
    tables=("stitching_matching",),
    draw=draw,
    settings=(),
)
