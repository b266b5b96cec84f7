"""Ensembles of more: members from different clusters, and members chosen to be diverse."""

import numpy as np

from modelkin import probe_kinds
from modelkin.analysis import left_out
from modelkin.figures import base
from modelkin.figures.base import Figure, pd, plt, sns


def draw(data, settings):
    """Left: gain against the number of clusters the members come from; right: chosen against random."""
    clusters, choices = data["ensemble_clusters"], data["ensemble_choices"]
    if not len(choices):
        return base.only_words(
            "Larger ensembles", "too few models that are no copies for any ensemble of the study's sizes"
        )
    sizes = sorted(choices["members"].unique())
    labels = list(dict.fromkeys(zip(choices["measure"], choices["kind"], strict=True)))
    partial = choices[choices["left_out"] != ""].drop_duplicates(["measure", "kind"])
    marked = set(zip(partial["measure"], partial["kind"], strict=True))
    looks = dict(zip(sizes, zip(_colours(sizes), base.MARKERS, strict=False), strict=True))
    size = (4 + 1.9 * len(sizes) + 2, max(4.0, 0.22 * len(labels) + 1.8))
    figure, axes = plt.subplots(1, 1 + len(sizes), figsize=size, width_ratios=(2.2, *[1] * len(sizes)))
    _drawn(axes[0], clusters, looks)
    for axis, members in zip(axes[1:], sizes, strict=True):
        _chosen(axis, choices[choices["members"] == members], labels, looks[members])
        axis.set_title(f"{members} members")
    axes[1].tick_params(labelleft=True)
    axes[1].set_yticks(
        range(len(labels)),
        [
            f"{base.describe(m)[0]}, {probe_kinds.in_words(kind)}{'*' * ((m, kind) in marked)}"
            for m, kind in labels
        ],
        fontsize=8,
    )
    figure.suptitle("Larger ensembles: from different clusters, and the least similar set by each measure")
    draws = base.counted(clusters.groupby(["members", "clusters"]).size())
    base.footnote(
        figure,
        f"left: mean of {draws} draws and its 95 % interval over models, which are left out one at a time\n"
        f"(none below {left_out.FEWEST} models, or where one is in every draw); right: dashed and grey, "
        "random sets of as many (mean, standard deviation);\n"
        "error reduction rate = 1 - error of the ensemble / mean error of its members"
        + ("; * without the models for which it is undefined" if marked else "")
        + base.without_copies(data["models"]),
    )
    return figure


def _colours(sizes):
    return sns.color_palette("viridis_r", len(sizes) + 1)[1:]


def _drawn(axis, clusters, looks) -> None:
    for members, (colour, marker) in looks.items():
        groups = clusters[clusters["members"] == members].groupby("clusters")
        means = groups["error_reduction_rate"].mean()
        ends = [left_out.interval(part["error_reduction_rate"], part["models"]) for _, part in groups]
        apart = np.abs(np.reshape(ends, (-1, 2)).T - means.to_numpy())
        axis.errorbar(means.index, means, apart, color=colour, marker=marker, capsize=3, label=members)
    axis.set(
        xlabel="clusters that the members come from",
        ylabel="error reduction rate",
        title="drawn from clusters",
        xticks=sorted(clusters["clusters"].unique()),
    )
    axis.legend(title="members")


def _chosen(axis, rows, labels, look) -> None:
    colour, marker = look
    place = pd.Series({label: number for number, label in enumerate(labels)})
    y = [place[key] for key in zip(rows["measure"], rows["kind"], strict=True)]
    # Sets of all models, if there is a measure that knows them all.
    shown = rows.loc[rows["left_out"].str.len().idxmin()]
    middle, sd = shown["random_err_mean"], shown["random_err_sd"]
    axis.axvspan(middle - sd, middle + sd, color="0.9", lw=0)
    axis.axvline(middle, color="0.4", lw=1, ls="--")
    axis.plot(rows["error_reduction_rate"], y, ls="", color=colour, marker=marker)
    axis.set(xlabel="error reduction", ylim=(len(labels) - 0.5, -0.5), yticks=range(len(labels)))
    axis.tick_params(labelleft=False)
    axis.grid(axis="y", color="0.93", lw=0.6)
    axis.set_axisbelow(True)


FIGURE = Figure(
    title="Larger ensembles",
    question="Are ensembles of the least similar models better than random ones?",
    section="ensembles",
    tables=("ensemble_clusters", "ensemble_choices"),
    draw=draw,
    fewest=3,
    settings=(),
)
