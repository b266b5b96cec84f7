"""What to do with the study's own models."""

from modelkin.figures.base import Figure, footnote, grid_of_text, pd


def draw(data, settings):
    """A table with a row for each use; models stand where they are shown to gain."""
    rows = data["recommendations"]
    models = rows["models"].str.replace(",", "\n")
    text = pd.DataFrame(
        {
            "use": rows["use"],
            "models": models.where(rows["recommended"], "none is shown to gain"),
            "against": rows["against"],
            "gain": [_range(row) for row in rows.itertuples()],
            "again": ["-" if value != value else f"{value:.0%}" for value in rows["chosen_again"]],
            "basis": rows["n"].astype(str) + ", " + rows["basis"],
        }
    )
    headings = ["as", "take", "against", "expected gain\n(percent of images)", "chosen\nagain", "judged by"]
    figure, _ = grid_of_text(text, headings, left={"use", "models", "against", "basis"})
    figure.suptitle("Recommendations")
    footnote(
        figure,
        "gain: what choosing on one part brings on the other, in brackets its range over the parts;\n"
        "the model alone is chosen on that part too. Nothing is recommended whose gain may be none",
    )
    return figure


def _range(row) -> str:
    if row.gain != row.gain:
        return "unknown"
    return f"{100 * row.gain:.2f} ({100 * row.gain_low:.2f} to {100 * row.gain_high:.2f})"


FIGURE = Figure(
    title="Recommendations",
    question="Which models should I ensemble, and which should teach?",
    section="distillation",
    tables=("models", "recommendations"),
    draw=draw,
    settings=(),
)
