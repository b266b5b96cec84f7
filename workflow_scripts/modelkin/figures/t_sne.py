"""The models as points by t-SNE of a measure's matrix, coloured by cluster (hwang2024, Fig. 1)."""

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, pd

NAMED = 80
CROWDED = 40  # more models need a larger figure for their names


def draw(data, settings, measure: str):
    """For each kind of probe the models, coloured by cluster, with their architecture's marker."""
    rows = data["clusters"].query("measure == @measure")
    kinds = base.kinds_in(rows)
    scale = max(1.0, rows["model"].nunique() / CROWDED)
    figure, axes = base.facets(len(kinds), width=5.0 * scale, height=4.6 * scale, columns=2)
    sizes = pd.Series(45, index=data["models"]["name"])
    palette, names = settings["palette"], {}
    colours = base.cluster_colours(rows, palette)
    for axis, kind in zip(axes, kinds, strict=True):
        part = rows[rows["kind"] == kind].drop(columns=["x", "y"])
        places = part.rename(columns={"t_sne_x": "x", "t_sne_y": "y"})
        names[axis] = base.clustered_points(
            axis, places, data["models"], names_up_to=NAMED, palette=palette, sizes=sizes, colours=colours
        )
        axis.set(
            title=f"{probe_kinds.in_words(kind)}: {part['cluster'].max() + 1} clusters", xticks=[], yticks=[]
        )
    base.cluster_legend(figure, colours)
    base.architecture_legend(figure, base.architecture_looks(data["models"], palette))
    title, _ = base.describe(measure)
    figure.suptitle(f"t-SNE of {title}")
    said = "colour: cluster; neighbours are alike, far distances mean nothing"
    base.footnote(figure, said + base.placed_copies(data["models"]))
    base.spread_names(figure, names)
    return figure


FIGURE = Figure(
    title="t-SNE",
    question="Which models lie near each other, seen in two dimensions?",
    section="clusters",
    tables=("models", "clusters"),
    draw=draw,
    fewest=4,
    per_measure=True,
)
