"""The clusters with the components that stand for them and their models (hwang2024, Table 1)."""

import textwrap

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, pd

WIDTH = 62  # characters of a line of models or keywords


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
                    "cluster": str(cluster + 1),
                    "keywords": _lines(words) or "-",
                    "models": _lines(models),
                }
            )
    figure, _ = base.grid_of_text(
        pd.DataFrame(rows), ["probe", "no.", "keywords", "models"], left={"kind", "keywords", "models"}
    )
    title, _ = base.describe(measure)
    figure.suptitle(f"Clusters by {title}")
    said = "keywords: components with the highest mean TF-IDF in the cluster"
    base.footnote(figure, said + base.without_copies(data["models"]))
    return figure


def _lines(words) -> str:
    return "\n".join(textwrap.wrap(", ".join(words), WIDTH, break_long_words=False))


FIGURE = Figure(
    title="Keywords of the clusters",
    question="What do the models of a cluster have in common?",
    section="clusters",
    tables=("models", "clusters", "component_keywords"),
    draw=draw,
    fewest=4,
    settings=(),
    per_measure=True,
)
