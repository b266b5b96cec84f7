"""What start, rate and length of a stitch's training make of its accuracy."""

import pandas as pd

from modelkin.figures import base
from modelkin.figures.base import Figure, plt

SHOWN = (("accuracy", "accuracy, natural images"), ("robust_accuracy", "accuracy, attacked images"))
LINES = ("-", "--", ":", "-.")


def draw(data, settings):
    """A row for each pair, of plain training: accuracy over epochs, a line for each start and rate."""
    table = data["stitching"]
    plain = table[table["objective"].eq("plain") & table["start"].notna()]
    if len(plain[["start", "epochs", "learning_rate"]].drop_duplicates()) < 2:
        return base.only_words(FIGURE.title, "stitches are trained from one start, at one rate, for one time")
    pairs = base.stitched_pairs(table)
    figure, axes = plt.subplots(len(pairs), 2, figsize=(7.6, 2.8 * len(pairs)), squeeze=False)
    colours = _looks(plain["start"], base.sns.color_palette(settings["palette"]))
    lines = _looks(plain["learning_rate"], LINES)
    ticks = sorted({0, *map(int, plain["epochs"])})
    for row, (title, own) in zip(axes, pairs.items(), strict=True):
        trained = own[own["objective"].eq("plain") & own["start"].notna()]
        for axis, (value, label) in zip(row, SHOWN, strict=True):
            matched = own.loc[own["objective"] == "matching", value].mean()
            for (start, rate), kind in trained.groupby(["start", "learning_rate"], sort=False):
                # Of each training the mean over places first, so that bars are over trainings.
                each = kind.groupby(["epochs", "repeat"])[value].mean().groupby("epochs")
                means, bars = each.mean(), each.std().fillna(0)
                if start == "least_squares":  # which is matching, before it is trained
                    means, bars = (
                        pd.concat([pd.Series({0: at}), of]) for at, of in ((matched, means), (0, bars))
                    )
                look = {"color": colours[start], "ls": lines[rate], "marker": "o", "ms": 4, "capsize": 2}
                said = f"{base.start_in_words(start)}, rate {rate:g}"
                axis.errorbar(means.index, means, bars, lw=1.2, label=said, **look)
            if matched == matched:
                axis.axhline(matched, color="0.4", lw=0.9, ls=(0, (5, 3)), label="matching, no training")
            axis.set(xlabel="epochs", ylabel=label, ylim=(-0.03, 1.03), title=title)
            axis.set(xlim=(-0.05 * ticks[-1], 1.05 * ticks[-1]), xticks=ticks)
    found = {}
    for axis in axes.flat:
        handles, names = axis.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    figure.legend(found.values(), found, loc="outside right center")
    figure.suptitle("Not optimised, or not compatible? Start, rate and epochs of plain stitches")
    base.footnote(figure, "mean over the pair's blocks; bars: standard deviation over trainings")
    return figure


def _looks(values, looks):
    found = list(dict.fromkeys(values))
    return {value: looks[number % len(looks)] for number, value in enumerate(found)}


FIGURE = Figure(
    title="Start, rate and epochs of stitches",
    question="Is a pair incompatible, or its stitch not optimised?",
    section="stitching",
    tables=("stitching",),
    draw=draw,
)
