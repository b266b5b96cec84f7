"""Every pair of models, on natural and on inverted images, side by side."""

import numpy as np

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, pd, plt, tables


def ordered(data, settings, measure: str, kind: str) -> tuple[list[str], list[int]]:
    """The models that a measure knows by level or by cluster, and the positions at which a group ends."""
    known = data["similarity"].query("measure == @measure and kind == @kind")["model_a"].unique()
    models = data["models"][data["models"]["name"].isin(known)]
    levels, by_name = base.levels(data["models"]), tables.model_levels(data["models"])
    group = pd.Series([levels.index(by_name[name]) for name in models["name"]], index=models["name"])
    if settings["order"] == "cluster":
        rows = data["clusters"].query("measure == @measure and kind == @kind")
        group = rows.set_index("model")["cluster"].reindex(models["name"])
    group = group.sort_values(kind="stable")
    changes = [i for i in range(1, len(group)) if group.iloc[i] != group.iloc[i - 1]]
    return list(group.index), changes


def draw(data, settings, measure: str):
    """One square for each kind of probe, on one colour scale."""
    rows = data["similarity"].query("measure == @measure")
    found = base.kinds_in(rows)
    title, direction = base.describe(measure)
    low, high, extend = scale_of(rows)
    side = base.side_of_square(rows["model_a"].nunique(), 0.24) + 1.2
    figure, axes = plt.subplots(1, len(found), figsize=(side * len(found) + 1, side + 0.6), squeeze=False)
    for axis, kind in zip(axes[0], found, strict=True):
        part = rows[rows["kind"] == kind]
        order, changes = ordered(data, settings, measure, kind)
        labels = [base.names_of(data["models"])[name] for name in order]
        # A model without any value is not in the grid; its row stays white.
        grid = whole(part).reindex(index=order, columns=order)
        image = base.square(axis, grid, labels, changes, vmin=low, vmax=high)
        chance = part["chance"].mean()
        counted = f"n = {base.counted(part.loc[part['n'] > 0, 'n'])}"
        known = "" if np.isnan(chance) else f", chance {chance:.2f}"
        # Nobody says on which images an imported table rests.
        images = f"{probe_kinds.in_words(kind)} images\n{counted}{known}"
        axis.set_title(kind if kind == probe_kinds.IMPORTED else images)
        if probe_kinds.origin_of(kind) == "inverted":
            axis.set(ylabel="source: images made with", xlabel="observer: compared with the source")
    figure.colorbar(image, ax=axes[0], shrink=0.8, label=f"{title} ({direction})", extend=extend)
    figure.suptitle(f"{title} of all pairs, ordered by {settings['order']}")
    return figure


def scale_of(rows) -> tuple[float, float, str]:
    """The lowest and the highest value of different models, and at which end a model with itself goes on.

    So colours tell pairs apart. Of all kinds of probe together, which are to be held against each other.
    """
    pairs = rows.loc[rows["model_a"] != rows["model_b"], "value"].dropna()
    if pairs.empty or pairs.min() == pairs.max():
        return 0.0, max(1.0, rows["value"].max()), "neither"
    beyond = rows["value"].min() < pairs.min(), rows["value"].max() > pairs.max()
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    return pairs.min(), pairs.max(), ends[beyond]


def whole(rows):
    """The square matrix of one kind and measure; where a pair stands once, it is mirrored."""
    grid = rows.pivot_table(index="model_a", columns="model_b", values="value")
    return grid.combine_first(grid.T)


FIGURE = Figure(
    title="Heatmap",
    question="How alike is every pair of models?",
    section="pairs",
    tables=("models", "similarity", "clusters"),
    draw=draw,
    settings=("order",),
    per_measure=True,
)
