"""A gallery of inversions: what each model takes for the target."""

import numpy as np

from modelkin.figures import base
from modelkin.figures.base import Figure, plt

MOST = 80  # models; more would neither be looked at nor be laid out in minutes


def draw(data, settings):
    """A row for each of the first pairs: seed, target, and every model's inverted image."""
    models = data["models"]
    names = base.names_of(models)
    test, pairs, inverted = data["images"]
    pairs = pairs.head(settings["gallery"])
    columns = {role: test.floats(test.rows(pairs[role])) for role in ("seed", "target")}
    shown = [
        list(inverted)[i] for i in np.unique(np.linspace(0, len(inverted) - 1, MOST).round().astype(int))
    ]
    columns |= {names[name]: inverted[name].floats(inverted[name].rows(pairs["sample"])) for name in shown}
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
    left_out = f"{len(shown)} of {len(inverted)} models, " if len(shown) < len(inverted) else ""
    base.footnote(
        figure,
        f"{left_out}{len(pairs)} of {len(data['images'][1])} pairs; * inversion failed{base.rescued(models)}",
    )
    return figure


FIGURE = Figure(
    title="Inversions",
    question="What does a model use of an image?",
    section="inversion",
    tables=("models", "images"),
    draw=draw,
    settings=("gallery",),
)
