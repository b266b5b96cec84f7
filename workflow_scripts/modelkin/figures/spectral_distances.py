"""Distances between the models' spectral features, ordered by cluster (hwang2024, Fig. 4)."""

import numpy as np

from modelkin.figures import base
from modelkin.figures.base import Figure, plt


def draw(data, settings, measure: str):
    """For each kind of probe the distances of what k-means saw, with lines between clusters."""
    places = data["clusters"].query("measure == @measure")
    features = data["spectral_features"].query("measure == @measure")
    kinds = base.kinds_in(places)
    names = base.names_of(data["models"])
    side = 1.6 + 0.16 * len(names)
    figure, axes = plt.subplots(1, len(kinds), figsize=(side * len(kinds) + 0.8, side), squeeze=False)
    for axis, kind in zip(axes.flat, kinds, strict=True):
        # A stable order, so that models of a cluster stand as in the config.
        ordered = places[places["kind"] == kind].sort_values("cluster", kind="stable")
        grid = features[features["kind"] == kind].pivot_table(index="model", columns="rank", values="value")
        points = grid.loc[ordered["model"]].to_numpy()
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        labels = ordered["cluster"].to_numpy()
        changes = np.flatnonzero(np.diff(labels)) + 1
        image = base.square(axis, distances, [names[name] for name in ordered["model"]], changes)
        figure.colorbar(image, ax=axis, shrink=0.7)
        axis.set_title(f"{kind}: {labels.max() + 1} clusters")
    title, _ = base.describe(measure)
    figure.suptitle(f"Distances of spectral features by {title}")
    base.footnote(figure, "Euclidean distance of the eigenvectors' entries; white lines: clusters")
    return figure


FIGURE = Figure(
    title="Distances of spectral features",
    section="clusters",
    needs=("models", "clusters", "spectral_features"),
    draw=draw,
    settings=(),
    per_measure=True,
)
