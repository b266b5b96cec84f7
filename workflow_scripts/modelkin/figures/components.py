"""What the architectures are made of, beside the models' cards."""

from modelkin.figures.base import Figure, TablePage, names_of


def draw(data, settings):
    """A table with a row for each model; components in which no two models differ are named below it."""
    table = data["components"].assign(model=data["components"]["model"].map(names_of(data["models"])))
    shared = [name for name in table if name != "model" and table[name].nunique() == 1]
    text = table.drop(columns=shared).astype(str).replace("", "-")
    same = "; ".join(f"{name.replace('_', ' ')}: {table[name].iloc[0]}" for name in shared)
    return TablePage(
        "Components of the architectures",
        text,
        {name: name.replace("_", " ") for name in text},
        note=f"The same for all models: {same}." if same else "No component is the same for all models.",
    )


FIGURE = Figure(
    title="Components",
    question="What are the architectures made of?",
    section="models",
    tables=("models", "components"),
    draw=draw,
    settings=(),
    as_table=True,
)
