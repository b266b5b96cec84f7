"""From where on a network's blocks can be replaced by another's without loss."""

from modelkin.figures.base import Figure, TablePage, pd, start_in_words

HEADINGS = {
    "front": "of",
    "end": "by the end of",
    "block": "after block",
    "how": "stitch",
    "loss": "loss, natural\n(percent)",
    "robust": "loss, attacked\n(percent)",
    "random": "accuracy with a\nrandom end, with it",
}


def draw(data, settings):
    """A table with a row for each pair and training whose last blocks can be replaced."""
    rows = data["stitching_replaceable"]
    fine = rows[rows["recommended"].astype(bool)]
    if fine.empty:
        margin = f"{100 * rows['margin'].iloc[0]:g} %" if len(rows) else "the margin"
        why = f"no block of {len(rows)} trainings is shown to lose less than {margin} of the images"
        return TablePage(FIGURE.title, pd.DataFrame(), {}, note=why)
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
    return TablePage(
        FIGURE.title,
        text,
        HEADINGS,
        values={
            "block": fine["block"],
            "loss": fine["loss"],
            "robust": fine["robust_loss"],
            "random": fine["random_end"],
        },
        rows=fine,
        note="The earliest block whose losses are within the margin by their 95 % intervals (in brackets).\n"
        "Where a random end is as accurate the stitch does the work.\n"
        f"{len(rows) - len(fine)} other trainings have no such block.",
    )


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
    as_table=True,
)
