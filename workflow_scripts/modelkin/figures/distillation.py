"""What similarity says of a teacher's worth."""

from modelkin.figures import base
from modelkin.figures.base import Figure, outcome_panels


def draw(data, settings):
    """A panel for each measure: accuracy of the student against its similarity to the teacher."""
    table = data["distillation"]
    figure = outcome_panels(
        table,
        data["similarity"],
        data["distillation_correlations"].query("teachers == 'all'"),
        outcome="student_accuracy",
        label="student accuracy",
        palette=settings["palette"],
    )
    figure.suptitle(
        f"Distillation into {table['model_b'].iloc[0]}: the student, against its similarity to the teacher"
    )
    points = base.outcome_points(table, data["similarity"], "student_accuracy")
    counted = base.counted(points.groupby(["measure", "kind"]).size())
    base.footnote(
        figure,
        f"{counted} teachers, mean of {base.counted(points['repeats'])} students each; "
        "similarity of the teacher to the study's own model of the student's kind;\n"
        "r Pearson [95 % interval, models resampled], p teachers permuted"
        + base.without_failed(base.rows_of_points(data["similarity"], points)),
    )
    return figure


FIGURE = Figure(
    title="Distillation",
    question="Does a teacher that is more like its student teach it better?",
    section="distillation",
    tables=("similarity", "distillation", "distillation_correlations"),
    draw=draw,
    fewest=4,
)
