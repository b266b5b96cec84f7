"""Images inverted through stitched models (balogh2023, Figs 9 and 27)."""

from __future__ import annotations

import pandas as pd

from modelkin.figures import base
from modelkin.figures.base import Figure, plt
from modelkin.stitching.settings import pair_label

MOST = 6  # images of a pair, unless the gallery has fewer
WHOLE = {"end": "whole end", "front": "whole front"}


def draw(data, settings):
    """For each pair the first images as rows: seed, target, both donors' inversions, and those by block."""
    table, (tasks, stitched) = data["stitching_inversions"], data["stitched"]
    pairs = base.stitched_pairs(table)
    shown = min(MOST, settings["gallery"])
    samples = {title: [*dict.fromkeys(own["sample"])][:shown] for title, own in pairs.items()}
    columns = 2 + max(own[["view", "block"]].drop_duplicates().shape[0] for own in pairs.values())
    heights = [len(each) + 1 for each in samples.values()]
    figure = plt.figure(figsize=(0.72 * columns + 0.6, 0.72 * sum(heights) + 0.6))
    parts = figure.subfigures(len(pairs), 1, squeeze=False, height_ratios=heights)
    for part, (title, own) in zip(parts.flat, pairs.items(), strict=True):
        images = {"seed": None, "target": None} | _views(own)
        front, end, task = own.iloc[0][["front", "end", "task"]]
        label = pair_label(front, end, task)
        label = label if label in stitched else pair_label(front, end)
        pair_rows = own.drop_duplicates("sample").set_index("sample").loc[samples[title]]
        axes = part.subplots(len(pair_rows), columns, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for column, (name, view) in enumerate(images.items()):
            if view is None:
                source, ids = tasks[task], pair_rows[name]
            else:
                source, ids = stitched[label](view), pair_rows.index
            for axis, image in zip(axes[:, column], source.floats(source.rows(ids)), strict=True):
                axis.set_axis_on()
                base.show_image(axis, image)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(True)
            loss = "" if view is None else f"\n{_loss(own, view):.2f}"
            weight = "bold" if view is None else "normal"
            axes[0, column].set_title(name + loss, fontsize=7, weight=weight)
        part.suptitle(title, fontsize=9)
    base.footnote(
        figure,
        "stitches by least squares, no training; below each model the median distance of its representations "
        "from the targets', relative to these; nan: a target's representation is zero, so the seed is shown",
    )
    return figure


def _views(own: pd.DataFrame) -> dict[str, str]:
    """The names of a pair's views in the figure, and in the store."""
    blocks = sorted(int(each) for each in own["block"].dropna().unique())
    whole = {title: key for key, title in WHOLE.items()}
    return whole | {f"block {block}": f"block-{block}" for block in blocks}


def _loss(own: pd.DataFrame, view: str) -> float:
    whole = own["view"] == WHOLE.get(view, "")
    rows = whole if view in WHOLE else own["block"] == int(view.removeprefix("block-"))
    return float(own.loc[rows, "loss"].median())


FIGURE = Figure(
    title="Inversions through stitches",
    question="What does an end still know of an image that another front has looked at?",
    section="stitching",
    tables=("stitching_inversions", "stitched"),
    draw=draw,
    settings=("gallery",),
)
