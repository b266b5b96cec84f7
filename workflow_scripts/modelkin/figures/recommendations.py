"""What to do with the study's own models."""

from modelkin.figures.base import Figure, TablePage, pd

HEADINGS = {
    "use": "as",
    "models": "take",
    "against": "against",
    "gain": "expected gain\n(percent of images)",
    "null": "of any",
    "again": "chosen\nagain",
    "basis": "judged by",
}
NOTE = """Gain: what choosing on one part brings on the other, in brackets its range over the parts; the \
model alone is chosen on that part too. Nothing is recommended whose gain may be none.
Of any: the gain of permuted models in place of the chosen; p: the share of them that gain as much."""


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
            "null": [_null(row) for row in rows.itertuples()],
            "again": ["-" if value != value else f"{value:.0%}" for value in rows["chosen_again"]],
            "basis": rows["n"].astype(str) + ", " + rows["basis"],
        }
    )
    values = {"gain": rows["gain"], "null": rows["gain_null"], "again": rows["chosen_again"]}
    return TablePage("Recommendations", text, HEADINGS, values=values, rows=rows, note=NOTE)


def _range(row) -> str:
    if row.gain != row.gain:
        return "unknown"
    return f"{100 * row.gain:.2f} ({100 * row.gain_low:.2f} to {100 * row.gain_high:.2f})"


def _null(row) -> str:
    return "unknown" if row.gain_p != row.gain_p else f"{100 * row.gain_null:.2f} (p {row.gain_p:.2g})"


FIGURE = Figure(
    title="Recommendations",
    question="Which models should I ensemble, and which should teach?",
    section="distillation",
    tables=("models", "recommendations"),
    draw=draw,
    settings=(),
    as_table=True,
)
