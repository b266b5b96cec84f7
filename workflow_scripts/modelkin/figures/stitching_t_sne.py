"""Representations of fronts and of stitched models in the plane, by block (balogh2023, Fig. 7)."""

from modelkin.figures import base
from modelkin.figures.base import Figure, plt, sns

ROWS = {"front": "the front at the block", "stitched": "representation, stitched there"}


def draw(data, settings):
    """For each pair two rows of panels, one for each block; a point is an image, its colour the class."""
    table = data["stitching_t_sne"]
    pairs = base.stitched_pairs(table)
    blocks = sorted(table["block"].unique())
    classes = sorted(table["label"].unique())
    palette = sns.color_palette(settings["palette"] if len(classes) <= 10 else "husl", len(classes))
    colours = dict(zip(classes, palette, strict=True))
    figure, axes = plt.subplots(
        2 * len(pairs), len(blocks), figsize=(1.9 * len(blocks) + 1.2, 3.9 * len(pairs) + 0.5), squeeze=False
    )
    for number, (title, own) in enumerate(pairs.items()):
        for row, (kind, said) in zip(axes[2 * number : 2 * number + 2], ROWS.items(), strict=True):
            row[0].set_ylabel(f"{title}\n{said}", fontsize=7)
            for axis, block in zip(row, blocks, strict=True):
                axis.set(xticks=[], yticks=[])
                points = own[(own["of"] == kind) & (own["block"] == block)]
                if points.empty:
                    axis.set_title("no map: the block is dead", fontsize=7)
                    continue
                axis.scatter(points["x"], points["y"], c=points["label"].map(colours), s=5, lw=0)
                axis.set_title(f"block {block:g}, silhouette {points['silhouette'].iloc[0]:.2f}", fontsize=7)
    dots = [plt.Line2D([], [], color=colours[each], marker="o", ls="", ms=4) for each in classes]
    figure.legend(
        dots, [str(each) for each in classes], title="class", loc="outside right center", fontsize=7
    )
    images = base.counted(table.groupby(["front", "end", "task", "block", "of"], dropna=False).size())
    figure.suptitle("t-SNE by block of what a front computes, and of models stitched there")
    base.footnote(
        figure,
        f"images: {images}; "
        "neighbours are alike, far distances mean nothing; the silhouette is of the values, not of the plane",
    )
    return figure


FIGURE = Figure(
    title="t-SNE of stitched models",
    question="From which block on are classes clusters?",
    section="stitching",
    tables=("stitching_t_sne",),
    draw=draw,
)
