"""Similarity and a teacher's worth, by the family of the teacher (hwang2024, Fig. 11)."""

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, TablePage, pd

GROUPS = ("all", "same family", "others")


def draw(data, settings):
    """A table with a row for each measure and kind of probe, and correlations for each group of teachers."""
    rows = data["distillation_correlations"].set_index(["measure", "kind", "teachers"])
    pairs = list(dict.fromkeys(zip(*(rows.index.get_level_values(i) for i in (0, 1)), strict=True)))
    text = pd.DataFrame(
        {
            "measure": [base.describe(measure)[0] for measure, _ in pairs],
            "kind": [probe_kinds.in_words(kind) for _, kind in pairs],
        }
        | {group: [_said(rows.loc[(*pair, group)], "pearson") for pair in pairs] for group in GROUPS}
        | {"partial": [_said(rows.loc[(*pair, "all")], "partial") for pair in pairs]}
    )
    control = rows.xs("all", level="teachers").iloc[0]
    counts = {group: base.counted(rows.xs(group, level="teachers")["n"]) for group in GROUPS}
    headings = {"measure": "measure", "kind": "probe"}
    headings |= {group: f"{group}\n(n = {counts[group]})" for group in GROUPS}
    student = data["distillation"]["model_b"].iloc[0]
    return TablePage(
        f"Teachers of {student}: correlation of similarity with the student's accuracy",
        text,
        headings | {"partial": "all, given the\nteacher's accuracy"},
        values={group: [rows.loc[(*pair, group), "pearson"] for pair in pairs] for group in GROUPS}
        | {"partial": [rows.loc[(*pair, "all"), "partial"] for pair in pairs]},
        note="Pearson correlation (two-sided p-value); a teacher's own accuracy correlates with the "
        f"student's by {_said(control, 'accuracy_pearson')}.",
    )


def _said(row, name: str) -> str:
    value, p = row[name], row[f"{name}_p"]
    return "-" if value != value else f"{value:.2f} ({p:.2g})"


FIGURE = Figure(
    title="Teachers by family",
    question="Is a teacher of the student's own family better?",
    section="distillation",
    tables=("models", "distillation", "distillation_correlations"),
    draw=draw,
    fewest=4,
    settings=(),
    as_table=True,
)
