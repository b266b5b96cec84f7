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
    base.footnote(
        figure,
        f"{len(table)} teachers, mean of {base.counted(table['repeats'])} students each; "
        "similarity of the teacher to the study's own model of the student's kind;\n"
        "r Pearson [95 % interval, models resampled], p teachers permuted"
        + base.without_failed(data["similarity"]),
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
