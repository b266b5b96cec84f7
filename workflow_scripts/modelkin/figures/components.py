"""What the architectures are made of, beside the models' cards."""

import textwrap

from modelkin.figures.base import Figure, footnote, grid_of_text, names_of


def draw(data, settings):
    """A table with a row for each model; components in which no two models differ are named below it."""
    table = data["components"].assign(model=data["components"]["model"].map(names_of(data["models"])))
    shared = [name for name in table if name != "model" and table[name].nunique() == 1]
    text = table.drop(columns=shared).astype(str).replace({"yes": "\N{CHECK MARK}", "no": "-", "": "-"})
    figure, _ = grid_of_text(text, [name.replace("_", "\n") for name in text], left=set(text))
    figure.suptitle("Components of the architectures")
    same = "; ".join(f"{name.replace('_', ' ')}: {table[name].iloc[0]}" for name in shared)
    said = f"the same for all models: {same}" if same else "no component is the same for all models"
    footnote(figure, textwrap.fill(said, 110, break_long_words=False))
    return figure


FIGURE = Figure(
    title="Components",
    question="What are the architectures made of?",
    section="models",
    tables=("models", "components"),
    draw=draw,
    settings=(),
)
