"""The models as points by t-SNE of a measure's matrix, coloured by cluster (hwang2024, Fig. 1)."""

from modelkin.figures import base
from modelkin.figures.base import Figure, sns

NAMED = 80  # with more models, names would hide the points


def draw(data, settings, measure: str):
    """For each kind of probe the models, coloured by cluster, with their architecture's marker."""
    rows = data["clusters"].query("measure == @measure")
    kinds = base.kinds_in(rows)
    models = data["models"].set_index("name")
    looks = base.architecture_looks(data["models"], settings["palette"])
    names = base.names_of(data["models"])
    figure, axes = base.facets(len(kinds), width=5.0, height=4.6, columns=2)
    for axis, kind in zip(axes, kinds, strict=True):
        part = rows[rows["kind"] == kind]
        colours = sns.color_palette(settings["palette"], part["cluster"].max() + 1)
        for row in part.itertuples():
            marker = looks[models.loc[row.model, "architecture"]]["marker"]
            axis.scatter(row.t_sne_x, row.t_sne_y, s=45, marker=marker, color=colours[row.cluster], lw=0)
            if len(part) <= NAMED:
                place = (row.t_sne_x, row.t_sne_y)
                axis.annotate(
                    names[row.model], place, (4, 3), textcoords="offset points", fontsize=6, color="0.3"
                )
        axis.set(title=f"{kind}: {part['cluster'].max() + 1} clusters", xticks=[], yticks=[])
    base.architecture_legend(figure, looks)
    title, _ = base.describe(measure)
    figure.suptitle(f"t-SNE of {title}")
    base.footnote(figure, "colour: cluster; neighbours are alike, far distances mean nothing")
    return figure


FIGURE = Figure(title="t-SNE", section="clusters", needs=("models", "clusters"), draw=draw, per_measure=True)
