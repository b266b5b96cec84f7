"""Accuracy of stitched models, block by block (balogh2023, Figs 1 to 6)."""

from modelkin.figures import base
from modelkin.figures.base import Figure, plt, sns

SHOWN = (
    ("accuracy", "accuracy, natural images", ("whole front", "whole end")),
    ("robust_accuracy", "accuracy, attacked images", ("whole front", "whole end")),
    ("majority_share", "share of one class", ()),
)
BASELINES = {"random front": "0.35", "random end": "0.6", "linear probe": "0.75"}


def draw(data, settings):
    """A row for each pair: accuracies and share of the commonest answer against the block."""
    table = data["stitching"]
    table = table.assign(kind=_kinds(table))
    pairs = base.stitched_pairs(table)
    made = table[table["repeat"].notna() | table["objective"].eq("matching")]
    made = made[~made["objective"].isin(BASELINES)]
    kinds = [*dict.fromkeys(made["kind"])]
    colours = dict(zip(kinds, sns.color_palette(settings["palette"], len(kinds)), strict=True))
    figure, axes = plt.subplots(
        len(pairs), len(SHOWN), figsize=(3.4 * len(SHOWN), 2.5 * len(pairs)), squeeze=False
    )
    for row, (title, own) in zip(axes, pairs.items(), strict=True):
        for axis, (value, label, donors) in zip(row, SHOWN, strict=True):
            _panel(axis, own, value, colours, donors)
            axis.set(xlabel="block", ylabel=label, ylim=(-0.03, 1.03), title=title)
            axis.xaxis.get_major_locator().set_params(integer=True)
    found = {}
    for axis in axes.flat:
        handles, names = axis.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    figure.legend(found.values(), found, loc="outside right center")
    trained = made[made["repeat"].notna()].groupby(["front", "end", "task", "kind", "block"], dropna=False)
    repeats = base.counted(trained["repeat"].nunique())
    figure.suptitle("Stitched models: the front's blocks up to one, then those of the end")
    base.footnote(
        figure,
        f"bars: 95 % Wilson intervals over images; trainings of each kind: {repeats}; band: the donors",
    )
    return figure


def _kinds(rows) -> list[str]:
    """How each row was trained; epochs and rate are said where one mode has several."""
    several = rows.groupby("mode")[["epochs", "learning_rate"]].nunique().gt(1).to_numpy().any()
    return [_kind(row, several) for row in rows.itertuples()]


def _kind(row, several: bool) -> str:
    if row.start != row.start or row.start is None:
        return row.objective
    more = f", {row.epochs:g} epochs at {row.learning_rate:g}" if several else ""
    return f"{row.objective}, {base.start_in_words(row.start)}, {row.mode}{more}"


def _panel(axis, own, value, colours, donors) -> None:
    ends = own.loc[own["objective"].isin(donors), value].to_list()
    if ends:
        axis.axhspan(min(ends), max(ends), color="0.92", lw=0)
    for kind, colour in colours.items():
        rows = own[own["kind"] == kind]
        rows = rows[~rows["objective"].isin(BASELINES)]
        means = rows.groupby("block")[value].mean()
        bars = None
        if f"{value}_low" in rows:
            spread = rows.groupby("block")[[f"{value}_low", f"{value}_high"]].mean()
            bars = [means - spread[f"{value}_low"], spread[f"{value}_high"] - means]
        axis.errorbar(
            means.index, means, bars, color=colour, marker="o", ms=3.5, lw=1.2, capsize=2, label=kind
        )
    for baseline, colour in BASELINES.items():
        rows = own[own["objective"] == baseline]
        if rows[value].notna().any():
            axis.plot(rows["block"], rows[value], color=colour, ls=":", lw=1.4, label=baseline)
    chance = own.loc[own["objective"] == "chance", value]
    if chance.notna().any():
        axis.axhline(float(chance.iloc[0]), color="0.5", ls="--", lw=0.8, label="chance")


FIGURE = Figure(
    title="Stitched accuracy",
    question="Can one model go on where another stops?",
    section="stitching",
    tables=("stitching",),
    draw=draw,
)
