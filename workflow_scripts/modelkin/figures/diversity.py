"""What ensembles gain by their members' diversity (hwang2024, Fig. 7 and 8)."""

import numpy as np

from modelkin.analysis import left_out, relations
from modelkin.figures import base
from modelkin.figures.base import Figure, plt, sns

TITLE = "Diversity and ensembles"
OUTCOMES = {
    "error": "error of the ensemble",
    "error_reduction_rate": "error reduction rate",
    "all_wrong": "images all get wrong",
}


def draw(data, settings):
    """Rows: members of k clusters, members of one relation; columns: the outcomes, against the members."""
    clusters, related = data["ensemble_clusters"], data["ensemble_relations"]
    if not len(clusters) and not len(related):
        return base.only_words(
            TITLE, "too few models that are no copies for any ensemble of the study's sizes"
        )
    figure, axes = plt.subplots(2, len(OUTCOMES), figsize=(9.6, 5.6), squeeze=False)
    found = sorted(clusters["clusters"].unique())
    _lines(
        axes[0],
        clusters,
        "clusters",
        dict(zip(found, sns.color_palette("viridis_r", len(found) + 1)[1:], strict=True)),
    )
    kinds = [relation for relation in relations.RELATIONS if relation in set(related["relation"])]
    _lines(
        axes[1],
        related,
        "relation",
        dict(zip(kinds, sns.color_palette(settings["palette"], len(kinds)), strict=True)),
    )
    axes[0, -1].legend(title="clusters", loc="upper left", bbox_to_anchor=(1, 1))
    axes[1, -1].legend(title="members differ in", loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(TITLE)
    draws = max(
        rows.groupby(["members", by]).size().max()
        for rows, by in ((clusters, "clusters"), (related, "relation"))
        if len(rows)
    )
    base.footnote(
        figure,
        f"marks: mean of at most {draws} draws; bars: its 95 % interval over models, which are left out one "
        f"at a time\n(none below {left_out.FEWEST} models, or where one is in every draw); above: members "
        "from so many clusters, below: members that all differ from each other in one respect;\n"
        "error reduction rate = 1 - error of the ensemble / mean error of its members"
        + base.without_copies(data["models"]),
    )
    return figure


def _lines(axes, rows, by: str, colours) -> None:
    for axis, (outcome, label) in zip(axes, OUTCOMES.items(), strict=True):
        for number, (key, colour) in enumerate(colours.items()):
            groups = rows[rows[by] == key].groupby("members")
            drawn = groups[outcome]
            marker = base.MARKERS[number % len(base.MARKERS)]
            # Beside each other, for the intervals of neighbours overlap.
            at = np.array(list(drawn.groups)) + 0.05 * (number - (len(colours) - 1) / 2)
            axis.plot(at, drawn.mean(), color=colour, marker=marker, ms=4, label=key)
            ends = [left_out.interval(part[outcome], part["models"]) for _, part in groups]
            axis.vlines(at, *np.reshape(ends, (-1, 2)).T, color=colour, lw=1)
        axis.set(xlabel="members", ylabel=label, xticks=sorted(rows["members"].unique()))


FIGURE = Figure(
    title=TITLE,
    question="Do ensembles of models from more clusters gain more?",
    section="ensembles",
    tables=("models", "ensemble_clusters", "ensemble_relations"),
    draw=draw,
    fewest=3,
)
