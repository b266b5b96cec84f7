"""Distances between the models' spectral features, by cluster and by relation (hwang2024, Fig. 4 and 5)."""

import numpy as np

from modelkin import probe_kinds
from modelkin.analysis import relations
from modelkin.figures import base
from modelkin.figures.base import Figure, pd, plt, tables


def draw(data, settings, measure: str):
    """For each kind of probe distances of what tells clusters apart, with lines between them; below, those of
    models that differ in their start, their training or their architecture.
    """
    places = tables.of_distinct_models(data["clusters"].query("measure == @measure"), data["models"])
    features = data["spectral_features"].query("measure == @measure")
    kinds = base.kinds_in(places)
    names = base.names_of(data["models"])
    side = base.side_of_square(places["model"].nunique(), 0.16) + 1.6
    below = 2.4
    figure, axes = plt.subplots(
        2,
        len(kinds),
        figsize=(side * len(kinds) + 0.8, side + below),
        height_ratios=(side, below),
        squeeze=False,
    )
    for axis, bottom, kind in zip(*axes, kinds, strict=True):
        # A stable order, so that models of a cluster stand as in the config.
        ordered = places[places["kind"] == kind].sort_values("cluster", kind="stable")
        grid = features[features["kind"] == kind].pivot_table(index="model", columns="rank", values="value")
        points = grid.loc[ordered["model"]].to_numpy()
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        labels = ordered["cluster"].to_numpy()
        changes = np.flatnonzero(np.diff(labels)) + 1
        image = base.square(axis, distances, [names[name] for name in ordered["model"]], changes)
        figure.colorbar(image, ax=axis, shrink=0.7)
        axis.set_title(f"{probe_kinds.in_words(kind)}: {labels.max() + 1} clusters")
        _by_relation(bottom, distances, list(ordered["model"]), data["models"])
    title, _ = base.describe(measure)
    figure.suptitle(f"Distances of spectral features by {title}")
    base.footnote(
        figure,
        "Euclidean distance of the eigenvectors' entries; white lines: clusters; below: pairs by what they "
        f"differ in, from {base.FEWEST_SPREAD} pairs on with mean and standard deviation"
        + base.without_copies(data["models"]),
    )
    return figure


def _by_relation(axis, distances: np.ndarray, names: list[str], models: pd.DataFrame) -> None:
    """Pairs by how the two models are related."""
    a, b = np.triu_indices(len(names), 1)
    pairs = pd.DataFrame({"model_a": np.take(names, a), "model_b": np.take(names, b)})
    related = relations.pair_relations(pairs, models).to_numpy()
    found = [relation for relation in relations.RELATIONS if relation in related]
    groups = [distances[a, b][related == relation] for relation in found]
    base.strip(axis, groups, {"color": "0.3", "marker": "o"})
    labels = [f"{relation}\n{len(group)}" for relation, group in zip(found, groups, strict=True)]
    axis.set_xticks(range(len(found)), labels)
    axis.set(ylabel="distance", xlim=(-0.5, len(found) - 0.5), ylim=(0, None))


FIGURE = Figure(
    title="Distances of spectral features",
    question="How far apart are models that differ in their start, training or architecture?",
    section="clusters",
    tables=("models", "clusters", "spectral_features"),
    draw=draw,
    fewest=4,
    settings=(),
    per_measure=True,
)
