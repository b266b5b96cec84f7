"""Every snapshot of a training against every other, at a few layers."""

import numpy as np

from modelkin.figures import base
from modelkin.figures.base import Figure, plt

MOST, PANELS = 6, 4  # models, and layers of each


def draw(data, settings):
    """A row for each model, a square for each of some layers."""
    rows = data["layer_epoch_pairs"]
    names = list(dict.fromkeys(rows["model"]))[:MOST]
    figure, axes = plt.subplots(
        len(names), PANELS, figsize=(2.7 * PANELS + 1, 2.8 * len(names)), squeeze=False
    )
    for line, name in zip(axes, names, strict=True):
        part = rows[rows["model"] == name]
        layers = list(dict.fromkeys(part["layer"]))
        places = np.unique(np.linspace(0, len(layers) - 1, PANELS).round().astype(int))
        for axis, place in zip(line, places, strict=False):
            image = _square(axis, part[part["layer"] == layers[place]])
            axis.set_title(layers[place], fontsize=8)
        for axis in line[len(places) :]:
            axis.remove()
        line[0].set_ylabel(f"{base.model_in_words(data['models'], name)}\nepoch")
    figure.colorbar(image, ax=base.kept(axes), shrink=0.7, label="CKA")
    figure.suptitle("Each epoch against each other, from early to late layers")
    rows = rows[rows["model"].isin(names)]
    chance = round(rows["chance"].mean(), 2) + 0.0
    base.footnote(
        figure,
        f"{base.counted(rows['n'])} images; chance, images permuted: {chance:.2f}",
    )
    return figure


def _square(axis, rows):
    grid = rows.pivot_table(index="epoch_a", columns="epoch_b", values="value")
    grid = grid.combine_first(grid.T).sort_index().sort_index(axis=1)
    image = axis.imshow(grid, origin="lower", interpolation="nearest", vmin=0, vmax=1)
    step = max(1, len(grid) // 6)
    ticks = range(0, len(grid), step)
    axis.set_xticks(ticks, grid.columns[::step], fontsize=6)
    axis.set_yticks(ticks, grid.index[::step], fontsize=6)
    return image


FIGURE = Figure(
    title="Epoch against epoch",
    question="When in training do layers change?",
    section="layers",
    tables=("models", "layer_epoch_pairs"),
    draw=draw,
    settings=(),
)
