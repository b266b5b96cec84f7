"""The clusters with the components that stand for them and their models (hwang2024, Table 1)."""

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, TablePage, pd

HEADINGS = {"kind": "probe", "cluster": "no.", "keywords": "keywords", "models": "models"}


def draw(data, settings, measure: str):
    """A table with a row for each cluster of each kind of probe."""
    places = data["clusters"].query("measure == @measure")
    keywords = data["component_keywords"].query("measure == @measure")
    names = base.names_of(data["models"])
    rows = []
    for kind in base.kinds_in(places):
        part = places[places["kind"] == kind]
        for cluster in sorted(part["cluster"].unique()):
            models = [names[model] for model in part.loc[part["cluster"] == cluster, "model"]]
            words = keywords.query("kind == @kind and cluster == @cluster").sort_values("rank")["keyword"]
            rows.append(
                {
                    "kind": probe_kinds.in_words(kind),
                    "cluster": cluster + 1,
                    "keywords": ", ".join(words) or "-",
                    "models": ", ".join(models),
                }
            )
    text = pd.DataFrame(rows)
    return TablePage(
        f"Clusters by {base.describe(measure)[0]}",
        text,
        HEADINGS,
        values={"cluster": text["cluster"]},
        note="Keywords: components with the highest mean TF-IDF in the cluster"
        + base.without_copies(data["models"]),
    )


FIGURE = Figure(
    title="Keywords of the clusters",
    question="What do the models of a cluster have in common?",
    section="clusters",
    tables=("models", "clusters", "component_keywords"),
    draw=draw,
    fewest=4,
    settings=(),
    per_measure=True,
    as_table=True,
)
