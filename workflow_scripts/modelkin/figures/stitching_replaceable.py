"""From where on a network's blocks can be replaced by another's without loss."""

from modelkin.figures.base import Figure, footnote, grid_of_text, only_words, pd, start_in_words


def draw(data, settings):
    """A table with a row for each pair and training whose last blocks can be replaced."""
    rows = data["stitching_replaceable"]
    fine = rows[rows["recommended"].astype(bool)]
    if fine.empty:
        margin = f"{100 * rows['margin'].iloc[0]:g} %" if len(rows) else "the margin"
        why = f"no block of {len(rows)} trainings is shown to lose less than {margin} of the images"
        return only_words(FIGURE.title, why)
    text = pd.DataFrame(
        {
            "front": fine["front"],
            "end": fine["end"],
            "block": [f"{row.block:g} of {row.blocks}, {row.front_block}" for row in fine.itertuples()],
            "how": [_how(row) for row in fine.itertuples()],
            "loss": [_range(row.loss, row.loss_low, row.loss_high) for row in fine.itertuples()],
            "robust": [
                _range(row.robust_loss, row.robust_loss_low, row.robust_loss_high)
                for row in fine.itertuples()
            ],
            "random": [
                "-" if row.random_end != row.random_end else f"{row.random_end:.2f}, {row.accuracy:.2f}"
                for row in fine.itertuples()
            ],
        }
    )
    headings = [
        "of",
        "by the end of",
        "after block",
        "stitch",
        "loss, natural\n(percent)",
        "loss, attacked\n(percent)",
        "accuracy with a\nrandom end, with it",
    ]
    figure, _ = grid_of_text(text, headings, left={"front", "end", "block", "how"})
    figure.suptitle("Blocks that can be replaced")
    footnote(
        figure,
        "the earliest block whose losses are within the margin by their 95 % intervals (in brackets);\n"
        "where a random end is as accurate the stitch does the work; "
        f"{len(rows) - len(fine)} other trainings have no such block",
    )
    return figure


def _how(row) -> str:
    if row.start != row.start or row.start is None:
        return row.objective
    return f"{row.objective}, {start_in_words(row.start)}, {row.epochs:g} epochs"


def _range(value, low, high) -> str:
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


FIGURE = Figure(
    title="Blocks that can be replaced",
    question="Which blocks can be replaced by another model's?",
    section="stitching",
    tables=("stitching_replaceable",),
    draw=draw,
    settings=(),
)
