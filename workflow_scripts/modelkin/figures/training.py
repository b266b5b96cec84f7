"""How training went: test accuracy after every epoch."""

from modelkin.figures import base
from modelkin.figures.base import Figure, tables


def draw(data, settings):
    """A panel for each robustness level, a line for each of its models."""
    models = data["models"].set_index("name")
    looks = base.architecture_looks(data["models"], settings["palette"])
    found, names = base.levels(data["models"]), base.names_of(data["models"])
    levels = tables.model_levels(data["models"])
    figure, axes = base.facets(len(found), height=3.0)
    for axis, level in zip(axes, found, strict=True):
        for name in (name for name in models.index if levels[name] == level):
            rows = data["training"].query("model == @name")
            look = looks[models.loc[name, "architecture"]]
            axis.plot(rows["epoch"], rows["test_accuracy"], label=names[name], ms=4, lw=1.2, **look)
        axis.set(
            title=f"eps {level}", xlabel="epoch", ylabel="accuracy, natural test images", ylim=(None, 1.02)
        )
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(loc="lower right")
    figure.suptitle("Training: accuracy on natural test images")
    base.footnote(figure, "models whose last epochs still rise were trained too briefly")
    return figure


FIGURE = Figure(
    title="Training",
    question="Has training ended, and how large is the gap between training and test images?",
    section="models",
    tables=("models", "training"),
    draw=draw,
)
