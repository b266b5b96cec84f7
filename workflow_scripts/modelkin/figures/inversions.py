"""A gallery of inversions: what each model takes for the target."""

from modelkin.figures import base
from modelkin.figures.base import Figure, plt


def draw(data, settings):
    """A row for each of the first pairs: seed, target, and every model's inverted image."""
    models = data["models"]
    names = base.names_of(models)
    test, pairs, inverted = data["images"]
    pairs = pairs.head(settings["gallery"])
    columns = {role: test.floats(test.rows(pairs[role])) for role in ("seed", "target")}
    columns |= {names[name]: images.floats(images.rows(pairs["sample"])) for name, images in inverted.items()}
    size = (0.62 * len(columns) + 0.4, 0.62 * len(pairs) + 1.4)
    figure, axes = plt.subplots(len(pairs), len(columns), figsize=size, squeeze=False)
    for column, (title, images) in enumerate(columns.items()):
        for row, image in enumerate(images):
            axis = axes[row, column]
            base.show_image(axis, image)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(True)
        weight = "bold" if title in ("seed", "target") else "normal"
        axes[0, column].set_title(title, rotation=60, ha="left", va="bottom", fontsize=8, weight=weight)
    figure.suptitle("From the seed, an image that the model cannot tell from the target")
    base.footnote(figure, f"{len(pairs)} of {len(data['images'][1])} pairs; * inversion failed")
    return figure


FIGURE = Figure(
    title="Inversions",
    question="What does a model use of an image?",
    section="inversion",
    tables=("models", "images"),
    draw=draw,
    settings=("gallery",),
)
