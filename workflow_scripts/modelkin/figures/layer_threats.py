"""Models that withstand different attacks, layer by layer: who is like whom."""

from modelkin.analysis import tables
from modelkin.figures import base
from modelkin.figures.base import Figure, plt

ROWS, COLUMNS = 5, 5  # models that others are compared with, and those others


def draw(data, settings):
    """A row for each robust model, with maps against those of other levels, the most alike first."""
    models = data["models"]
    level = tables.model_levels(models)
    summary = data["layer_summary"].query(
        "kind == 'natural' and measure == 'layer_cka' and statistic == 'same_layer'"
    )
    found = grid(summary, models)
    if not found:
        return base.only_words(FIGURE.title, "no two robust models of different levels are compared")
    maps = data["layer_maps"].query("kind == 'natural' and kind_a == 'natural' and measure == 'layer_cka'")
    maps = maps[maps["snapshot"].isna()]
    columns = max(map(len, found.values()))
    figure, axes = plt.subplots(
        len(found), columns, figsize=(2.9 * columns + 0.6, 3.2 * len(found)), squeeze=False
    )
    for line, (one, others) in zip(axes, found.items(), strict=True):
        for axis, row in zip(line, others, strict=False):
            cells = maps[(maps["model_a"] == row.model_a) & (maps["model_b"] == row.model_b)]
            image = base.draw_layer_map(axis, cells, data["layers"])
            axis.set(ylabel=row.model_a, xlabel=row.model_b)
            other = row.model_b if row.model_a == one else row.model_a
            said = base.statistic_of(summary[summary.index == row.Index], "same_layer")
            axis.set_title(f"{level[one]} with {level[other]}\n{said}", fontsize=8)
        for axis in line[len(others) :]:
            axis.remove()
    figure.colorbar(image, ax=base.kept(axes), shrink=0.7, label="linear CKA (unbiased)")
    figure.suptitle("Models that withstand different attacks, natural images")
    drawn = {(row.model_a, row.model_b) for others in found.values() for row in others}
    maps = maps[[pair in drawn for pair in zip(maps["model_a"], maps["model_b"], strict=True)]]
    base.footnote(
        figure,
        f"{base.counted(maps['n'])} images; above each map the mean of the same layers with its 95 % "
        f"interval; chance, images permuted: {round(maps['chance'].mean(), 2) + 0.0:.2f}",
    )
    return figure


def grid(summary, models) -> dict[str, list]:
    """For each model that is compared with the most, rows of its pairs with robust models of other levels.

    summary: one row for each pair. Models that are in no second pair get no row of their own.
    """
    level, eps = tables.model_levels(models), models.set_index("name")["eps"]
    pairs = [
        row
        for row in summary.sort_values("value", ascending=False).itertuples()
        if min(eps[row.model_a], eps[row.model_b]) > 0 and level[row.model_a] != level[row.model_b]
    ]
    of = {name: [row for row in pairs if name in (row.model_a, row.model_b)] for name in models["name"]}
    several = {name: rows for name, rows in of.items() if len(rows) > 1}
    chosen = sorted(
        several or {pairs[0].model_a: pairs[:1]} if pairs else {}, key=lambda name: -len(of[name])
    )
    return {name: of[name][:COLUMNS] for name in chosen[:ROWS]}


FIGURE = Figure(
    title="Layers of models that withstand different attacks",
    question="Which attacks ask for the same representation?",
    section="layers",
    tables=("models", "layers", "layer_maps", "layer_summary"),
    draw=draw,
    settings=(),
    of_threats=True,
)
