"""Accuracy and inversion of the models: whether what follows rests on models that work."""

from modelkin.figures import base
from modelkin.figures.base import Figure, tables

PANELS = {
    "clean_accuracy": "accuracy, natural test images",
    "adversarial_accuracy": "accuracy under PGD",
    "inversion_median_loss": "median relative loss of inversions",
}


def draw(data, settings):
    """One line for each architecture in three panels, against the robustness level."""
    models = data["models"].query("source != 'none'")
    looks = base.architecture_looks(models, settings["palette"])
    found, levels = base.levels(models), tables.model_levels(models)
    figure, axes = base.facets(len(PANELS), height=3.0)
    for axis, (column, label) in zip(axes, PANELS.items(), strict=True):
        where = dict(zip(found, base.eps_axis(axis, found), strict=True))
        for architecture, rows in models.sort_values("eps").groupby("architecture", sort=False):
            x = [where[levels[name]] for name in rows["name"]]
            axis.plot(x, rows[column], label=architecture, **looks[architecture])
        axis.set_ylabel(label)
    axes[-1].set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), title="architecture", loc="outside right center")
    figure.suptitle("The models: accuracy and how well they could be inverted")
    failed = list(models.loc[models["inversion_failed"].eq(True), "name"])
    said = f"inversion failed: {', '.join(failed)}" if failed else "no inversion failed"
    base.footnote(figure, said + base.rescued(models))
    return figure


FIGURE = Figure(
    title="Accuracy",
    question="Do the models work, and did their inversion?",
    section="models",
    tables=("models",),
    draw=draw,
    of_weights=True,
)
