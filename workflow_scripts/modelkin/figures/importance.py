"""Which components' differences go with differences in similarity (hwang2024, Fig. 3)."""

import numpy as np

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure


def draw(data, settings, measure: str):
    """For each kind of probe the importance of every component that varies, with its spread."""
    rows = data["component_importance"].query("measure == @measure and varies")
    scores = data["component_scores"].query("measure == @measure").set_index("kind")
    kinds = base.kinds_in(data["component_scores"].query("measure == @measure"))
    title, _ = base.describe(measure)
    count = rows["component"].nunique()
    figure, axes = base.facets(len(kinds), width=4.2, height=0.24 * max(count, 4) + 1.1, columns=2)
    for axis, kind in zip(axes, kinds, strict=True):
        part = rows[rows["kind"] == kind].iloc[::-1]
        places = np.arange(len(part))
        axis.barh(
            places, part["importance"], xerr=part["importance_sd"], color="tab:blue", alpha=0.8, ecolor="0.3"
        )
        axis.plot(part["importance_null"], places, "|", color="k", ms=7)
        axis.set_yticks(places, part["component"].str.replace("_", " "))
        axis.set(
            xlabel="importance (fall of R2)",
            title=f"{probe_kinds.in_words(kind)}: R2 {_score(scores.loc[kind, 'r2_fitted'])} fitted, "
            f"{_score(scores.loc[kind, 'r2_new_models'])} for new models",
        )
        axis.axvline(0, color="0.5", lw=0.8)
    figure.suptitle(f"What {title} follows")
    pairs, models = base.counted(scores["pairs"]), base.counted(scores["models"])
    base.footnote(
        figure,
        f"gradient boosting on {pairs} pairs of {models} models; bars: fall of R2 when "
        "a component's differences\nare permuted, with standard deviation. Where R2 for new models is not "
        "above 0, importance says\nnothing of other models; components that go together share theirs; "
        "black: what permuted models have" + base.without_copies(data["models"]),
    )
    return figure


def _score(value: float) -> str:
    return "unknown" if value != value else f"{value:.2f}"


FIGURE = Figure(
    title="Importance of components",
    question="Which components of architectures go with similarity?",
    section="components",
    tables=("models", "component_importance", "component_scores"),
    draw=draw,
    fewest=4,
    settings=(),
    per_measure=True,
)
