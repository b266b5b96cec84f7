"""What attacks under several threats make of the same images."""

import numpy as np

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, plt

IMAGES = 3


def draw(data, settings):
    """A column for each attack: the first images of one model's probes, and how they were changed."""
    natural, model, probes = data["attacked"]
    rows = range(min(IMAGES, len(natural)))
    before = natural.floats(list(rows))
    columns = {"natural": before} | {
        _title(kind, settings["attacks"][kind]): probe.floats(list(rows)) for kind, probe in probes.items()
    }
    # A model that takes images of another size has probes of it, from which natural pixels cannot be taken.
    changes = all(images.shape == before.shape for images in columns.values())
    lines = 2 if changes else 1
    size = (1.25 * len(columns) + 0.3, 1.35 * lines * len(rows) + 0.9)
    figure, axes = plt.subplots(lines * len(rows), len(columns), figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for column, (title, images) in enumerate(columns.items()):
        axes[0, column].set_title(title, fontsize=8)
        for row in rows:
            base.show_image(axes[lines * row, column], images[row])
            if changes and column:
                change = images[row] - before[row]
                # A few pixels may change far more than all others.
                large = np.percentile(np.abs(change), 99)
                factor = max(1.0, 0.5 / large) if large else 1.0
                axis = axes[lines * row + 1, column]
                base.show_image(axis, np.clip(0.5 + factor * change, 0, 1))
                axis.text(
                    0.5, -0.02, f"x {factor:.3g}", transform=axis.transAxes, ha="center", va="top", fontsize=7
                )
    figure.suptitle(
        f"Images under attack, and how they were changed (against {base.names_of(data['models'])[model]})"
    )
    base.footnote(
        figure,
        f"the first {len(rows)} of {len(natural)} images; "
        + ("changes are enlarged as written; grey is none" if changes else "at the model's own size"),
    )
    return figure


def _title(kind: str, attack) -> str:
    label = probe_kinds.attack_of(kind)
    said = f"{attack['norm']}, radius {attack['radius']:.3g}"
    return said if label in (None, attack["norm"]) else f"{label}\n{said}"


FIGURE = Figure(
    title="Images under attack",
    question="What do images look like under each attack?",
    section="models",
    tables=("models", "attacked"),
    draw=draw,
    settings=(),
)
