"""Every pair of models, on natural and on inverted images, side by side."""

from modelkin.figures import base
from modelkin.figures.base import Figure, plt


def ordered(data, settings, measure: str, kind: str) -> tuple[list[str], list[int]]:
    """The models by level or by cluster, and the positions at which a group ends."""
    models = data["models"]
    group = models.set_index("name")["eps"]
    if settings["order"] == "cluster":
        rows = data["clusters"].query("measure == @measure and kind == @kind")
        group = rows.set_index("model")["cluster"].reindex(models["name"])
    group = group.sort_values(kind="stable")
    changes = [i for i in range(1, len(group)) if group.iloc[i] != group.iloc[i - 1]]
    return list(group.index), changes


def draw(data, settings, measure: str):
    """One square for each kind of probe, on one colour scale."""
    rows = data["similarity"].query("measure == @measure")
    kinds = base.kinds_in(rows)
    title, direction = base.describe(measure)
    low, high = rows["value"].min(), rows["value"].max()
    if direction == "similarity":
        low, high = min(0.0, low), 1.0
    side = 0.24 * len(data["models"]) + 1.2
    figure, axes = plt.subplots(1, len(kinds), figsize=(side * len(kinds) + 1, side + 0.6), squeeze=False)
    for axis, kind in zip(axes[0], kinds, strict=True):
        part = rows[rows["kind"] == kind]
        order, changes = ordered(data, settings, measure, kind)
        image = axis.imshow(_square(part, kind).loc[order, order], vmin=low, vmax=high, cmap="viridis")
        labels = [base.names_of(data["models"])[name] for name in order]
        axis.set_xticks(range(len(order)), labels, rotation=90, fontsize=7)
        axis.set_yticks(range(len(order)), labels, fontsize=7)
        for place in changes:
            axis.axhline(place - 0.5, color="white", lw=1.2)
            axis.axvline(place - 0.5, color="white", lw=1.2)
        axis.spines[:].set_visible(False)
        axis.set_title(f"{kind} images, n = {part['n'].iloc[0]}, chance {part['chance'].mean():.2f}")
        if kind == "inverted":
            axis.set(ylabel="source: images made with", xlabel="observer: compared with the source")
    figure.colorbar(image, ax=axes[0], shrink=0.8, label=f"{title} ({direction})")
    figure.suptitle(f"{title} of all pairs, ordered by {settings['order']}")
    return figure


def _square(rows, kind: str):
    square = rows.pivot_table(index="model_a", columns="model_b", values="value")
    return square.combine_first(square.T) if kind == "natural" else square


FIGURE = Figure(
    title="Heatmap",
    section="similarity",
    needs=("models", "similarity", "clusters"),
    draw=draw,
    settings=("order",),
    per_measure=True,
)
