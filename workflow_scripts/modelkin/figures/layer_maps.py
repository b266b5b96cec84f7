"""Every layer against every other, within models and between them, on natural images."""

from modelkin.figures import base
from modelkin.figures.base import Figure

MOST = 24  # maps that are drawn


def draw(data, settings):
    """A map for each model, by level, then one for each pair."""
    maps = data["layer_maps"].query("kind == 'natural' and kind_a == 'natural' and measure == 'layer_cka'")
    maps = maps[maps["snapshot"].isna()]
    pairs = chosen(maps, data["models"])
    figure, axes = base.facets(min(MOST, len(pairs)), width=3.1, height=3.9, columns=4)
    for axis, (a, b) in zip(axes, pairs, strict=False):
        cells = maps[(maps["model_a"] == a) & (maps["model_b"] == b)]
        summary = data["layer_summary"].query(
            "model_a == @a and model_b == @b and kind == 'natural' and measure == 'layer_cka'"
        )
        image = base.draw_layer_map(axis, cells, data["layers"])
        words = base.model_in_words(data["models"], a)
        if a != b:
            axis.set(ylabel=a, xlabel=b)
            words = f"{words}\nwith {base.model_in_words(data['models'], b)}"
        axis.set_title(f"{words}\n{base.statistic_of(summary, 'off_diagonal')}", fontsize=8)
    figure.set_layout_engine("compressed")  # the other one lets titles of several lines overlap
    figure.colorbar(image, ax=axes, shrink=0.7, label="linear CKA (unbiased)")
    figure.suptitle("Layers within models and between them, natural images")
    drawn = set(pairs[:MOST])
    maps = maps[[pair in drawn for pair in zip(maps["model_a"], maps["model_b"], strict=True)]]
    said = (
        f"{base.counted(maps['n'])} images; above each map the mean off the diagonal with its 95 % interval"
    )
    chance = f"chance, images permuted: {round(maps['chance'].mean(), 2) + 0.0:.2f}"
    left = f"; {len(pairs) - MOST} more maps stand in the table layer_maps" if len(pairs) > MOST else ""
    base.footnote(figure, f"{said}; {chance}; white lines: where the resolution falls{left}")
    return figure


def chosen(maps, models) -> list[tuple[str, str]]:
    """The pairs of models in a table of maps: each with itself by level, then those that differ."""
    found = list(dict.fromkeys(zip(maps["model_a"], maps["model_b"], strict=True)))
    level = models.set_index("name")["eps"]
    return sorted(found, key=lambda pair: (pair[0] != pair[1], level[pair[0]] + level[pair[1]]))


FIGURE = Figure(
    title="Layer maps",
    question="Where in networks does similarity arise?",
    section="layers",
    tables=("models", "layers", "layer_maps", "layer_summary"),
    draw=draw,
    settings=(),
)
