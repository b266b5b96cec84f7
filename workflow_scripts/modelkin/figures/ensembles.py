"""What similarity says of ensembles of two."""

from modelkin.figures import base
from modelkin.figures.base import Figure, outcome_panels, tables


def draw(data, settings):
    """A panel for each measure: error reduction rate of every pair against its similarity."""
    pairs = tables.of_distinct(data["ensemble_pairs"], data["models"])
    figure = outcome_panels(
        pairs,
        data["similarity"],
        data["ensemble_correlations"],
        outcome="error_reduction_rate",
        label="error reduction rate",
        palette=settings["palette"],
    )
    figure.suptitle("Ensembles of two models: what they gain, against their similarity")
    points = base.outcome_points(pairs, data["similarity"], "error_reduction_rate")
    counted = base.counted(points.groupby(["measure", "kind"]).size())
    base.footnote(
        figure,
        f"{counted} pairs, logits averaged; error reduction rate = 1 - error of the "
        "ensemble / mean error of its members;\n"
        "r Pearson [95 % interval, models resampled], p models permuted"
        + base.without_failed(base.rows_of_points(data["similarity"], points))
        + base.without_copies(data["models"]),
    )
    return figure


FIGURE = Figure(
    title="Ensembles of two",
    question="Do pairs of models that are less alike gain more together?",
    section="ensembles",
    tables=("similarity", "ensemble_pairs", "ensemble_correlations"),
    draw=draw,
    fewest=4,
)
