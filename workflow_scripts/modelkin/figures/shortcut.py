"""A new model's similarities from its own adversarial images alone, against the full ones."""

from modelkin.figures import base
from modelkin.figures.base import Figure, plt


def draw(data, settings):
    """A point for each model taken for a new one and each other model."""
    rows = data["sat_shortcut"].dropna(subset=["shortcut"])
    architecture = data["models"].set_index("name")["architecture"]
    figure, axis = plt.subplots(figsize=(5.5, 4.2))
    for name, look in base.architecture_looks(data["models"], settings["palette"]).items():
        part = rows[rows["model_a"].map(architecture) == name]
        axis.scatter(part["full"], part["shortcut"], s=14, alpha=0.7, lw=0, label=name, **look)
    axis.axline((rows["full"].median(), rows["full"].median()), slope=1, color="0.6", lw=1, ls=":")
    axis.set(xlabel="similarity from both models' images (ln %)", ylabel="from the new model's alone (ln %)")
    figure.legend(title="new model", loc="outside right center")
    axis.set_title("Similarity by attack transferability, by one attack or both")
    ranks = data["sat_shortcut_models"]["spearman"]
    base.footnote(
        figure,
        f"{len(rows)} pairs; mean absolute error {rows['error'].abs().mean():.2f}; rank correlation of a new "
        f"model's similarities:\nmedian {ranks.median():.2f}, lowest {ranks.min():.2f}",
    )
    return figure


FIGURE = Figure(
    title="Shortcut for a new model",
    section="pairs",
    tables=("models", "sat_shortcut", "sat_shortcut_models"),
    draw=draw,
)
