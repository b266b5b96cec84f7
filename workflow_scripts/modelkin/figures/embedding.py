"""The models as points: the spectral embedding of a measure's matrix, with its clusters."""

import numpy as np

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, plt, tables

NAMED = 30


def draw(data, settings, measure: str):
    """For each kind of probe the embedding, its clusters outlined by colour, and the eigenvalues."""
    rows = data["clusters"].query("measure == @measure")
    kinds = base.kinds_in(rows)
    models = data["models"]
    norms = [level.norm for level in tables.model_levels(models).values()]
    # Radii of different norms are not on one scale.
    largest = models.groupby(norms)["eps"].transform("max").clip(lower=1e-12)
    sizes = (30 + 90 * models["eps"] / largest).set_axis(models["name"])
    title, _ = base.describe(measure)
    figure, axes = plt.subplots(
        2, len(kinds), figsize=(4.6 * len(kinds), 6), height_ratios=(3, 1), squeeze=False
    )
    palette, names = settings["palette"], {}
    colours = base.cluster_colours(rows, palette)
    for (top, bottom), kind in zip(axes.T, kinds, strict=True):
        part = rows[rows["kind"] == kind]
        names[top] = base.clustered_points(
            top, part, models, names_up_to=NAMED, palette=palette, sizes=sizes, colours=colours
        )
        top.locator_params(nbins=5)
        stable = data["cluster_stability"].query("measure == @measure and kind == @kind").iloc[0]
        top.set(
            title=f"{probe_kinds.in_words(kind)}: {stable['clusters']} clusters, {_said(stable)}",
            xlabel="second eigenvector",
            ylabel="third eigenvector",
        )
        values = data["spectra"].query("measure == @measure and kind == @kind")
        bottom.plot(values["rank"], values["eigenvalue"], "o-", ms=3, color="0.3")
        bottom.axvline(stable["clusters"] + 0.5, color="0.5", ls=":")
        bottom.set(
            xlabel="rank", ylabel="eigenvalue", xticks=np.arange(1, len(values) + 1, max(1, len(values) // 8))
        )
    base.cluster_legend(figure, colours)
    base.architecture_legend(figure, base.architecture_looks(models, palette))
    figure.suptitle(f"Spectral embedding of {title}")
    base.footnote(
        figure,
        "colour: cluster; size: robustness level; dotted: number of clusters; stability: adjusted Rand index "
        "under resampled\nmodels, beside it that of shuffled pairs, and p: the share of them that are as "
        "stable (above .05, one cluster says as much)" + base.placed_copies(models),
    )
    base.spread_names(figure, names)
    return figure


def _said(stable) -> str:
    """A stability and what it is worth."""
    if np.isnan(stable["ari_models_p"]):
        return "stability unknown"
    one = "" if stable["clusters_supported"] > 1 else "\none cluster says as much"
    return (
        f"stability {stable['ari_models_mean']:.2f}\n"
        f"(shuffled {stable['ari_null_mean']:.2f}, p {stable['ari_models_p']:.2g}){one}"
    )


FIGURE = Figure(
    title="Embedding",
    question="Which models belong together, and how stable are these groups?",
    section="clusters",
    tables=("models", "clusters", "cluster_stability", "spectra"),
    draw=draw,
    fewest=4,
    per_measure=True,
)
