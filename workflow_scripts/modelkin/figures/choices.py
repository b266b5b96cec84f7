"""Ensembles of more: members from different clusters, and members chosen to be diverse."""

from modelkin.figures import base
from modelkin.figures.base import Figure, pd, plt, sns


def draw(data, settings):
    """Left: error against the number of clusters the members come from; right: chosen against random."""
    clusters, choices = data["ensemble_clusters"], data["ensemble_choices"]
    sizes = sorted(clusters["members"].unique())
    height = 0.22 * len(choices.groupby(["measure", "kind"])) + 1.8
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, max(4.0, height)), width_ratios=(2, 3))
    colours = sns.color_palette("viridis_r", len(sizes) + 1)[1:]
    for size, colour, marker in zip(sizes, colours, base.MARKERS, strict=False):
        rows = (
            clusters[clusters["members"] == size]
            .groupby("clusters")["error_reduction_rate"]
            .agg(["mean", "sem"])
        )
        left.errorbar(
            rows.index, rows["mean"], 1.96 * rows["sem"], color=colour, marker=marker, capsize=3, label=size
        )
    left.set(
        xlabel="clusters that the members come from",
        ylabel="error reduction rate",
        title="drawn from clusters (mean, 95 %)",
        xticks=sorted(clusters["clusters"].unique()),
    )
    left.legend(title="members")
    _chosen(right, choices, sizes, colours)
    figure.suptitle("Larger ensembles")
    draws = clusters.groupby(["members", "clusters"]).size().max()
    base.footnote(
        figure,
        f"{draws} draws for each point; grey: random sets of as many members, mean and standard deviation",
    )
    return figure


def _chosen(axis, choices, sizes, colours) -> None:
    labels = choices[["measure", "kind"]].drop_duplicates().reset_index(drop=True)
    place = {(row.measure, row.kind): len(labels) - 1 - row.Index for row in labels.itertuples()}
    for size, colour, marker in zip(sizes, colours, base.MARKERS, strict=False):
        rows = choices[choices["members"] == size]
        y = pd.Series([place[key] for key in zip(rows["measure"], rows["kind"], strict=True)])
        axis.plot(rows["error_reduction_rate"], y, ls="", color=colour, marker=marker, label=size)
        middle, sd = rows["random_err_mean"].iloc[0], rows["random_err_sd"].iloc[0]
        axis.axvspan(middle - sd, middle + sd, color="0.8", alpha=0.25, lw=0)
        axis.axvline(middle, color=colour, lw=1, ls="--")
    axis.set_yticks(list(place.values()), [f"{base.describe(m)[0]}, {kind}" for m, kind in place], fontsize=8)
    axis.set(xlabel="error reduction rate", title="the least similar set by each measure (dashed: random)")


FIGURE = Figure(
    title="Larger ensembles",
    section="ensembles",
    needs=("ensemble_clusters", "ensemble_choices"),
    draw=draw,
    settings=(),
)
