"""The models' cards: what each is made of and what it can do."""

from modelkin.figures.base import Figure, TablePage, counted, names_of, pd, tables

COLUMNS = {
    "model": "model",
    "architecture": "architecture",
    "source": "source",
    "eps": "eps",
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "size": "image size",
    "head": "representation is input of",
    "width": "its width",
    "clean_accuracy": "accuracy",
    "adversarial_accuracy": "under PGD",
    "autoattack_accuracy": "under AutoAttack",
    "attack_success": "adversarial probe fools",
}
WHOLE = ("parameters", "multiply_adds", "size", "width", "evaluated")
# What a column would repeat for every model stands under the table.
SAID_ONCE = {
    "source": "source {}",
    "size": "images of {} pixels",
    "head": "representation is the input of layer '{}'",
    "width": "{} features",
}


def draw(data, settings):
    """A table with a row for each model with weights; AutoAttack has a column only where it was run."""
    models = data["models"].assign(model=list(names_of(data["models"]).values())).query("source != 'none'")
    if tables.of_several_norms(models):
        models = models.assign(eps=list(map(str, tables.model_levels(models).values())))
    # Where some had none, pandas made their whole numbers floating ones.
    models = models.astype(dict.fromkeys(WHOLE, int))
    headings = {name: heading for name, heading in _headings(models).items() if models[name].notna().any()}
    alike = [
        name for name in SAID_ONCE if name in headings and len(models) > 1 and models[name].nunique() == 1
    ]
    once = ", ".join(SAID_ONCE[name].format(_written(models[name].iloc[0])) for name in alike)
    headings = {name: heading for name, heading in headings.items() if name not in alike}
    attacked = f"under PGD on {counted(models['evaluated'])} of its images"
    return TablePage(
        "The models",
        models[[*headings]].map(_written),
        headings,
        values={name: models[name] for name in headings if pd.api.types.is_numeric_dtype(models[name])},
        rows=data["models"].query("source != 'none'"),
        note=f"Accuracy is on the whole test split, {attacked}." + (f"\nAll models: {once}." if once else ""),
    )


def _headings(models) -> dict[str, str]:
    """What each column is called; of attacks with labels each has its own column."""
    found = {}
    for name, heading in COLUMNS.items():
        labelled = [column for column in models if column.startswith(f"{name}:")]
        found |= {column: f"{column.partition(':')[2]}: {heading}" for column in labelled} or {name: heading}
    return found


def _written(value) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, int) and value >= 10_000:
        return next(f"{value / unit:.3g} {name}" for unit, name in UNITS if value >= unit)
    return str(value)


UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))

FIGURE = Figure(
    title="Model cards",
    question="What is each model, and what do we know of it?",
    section="models",
    tables=("models",),
    draw=draw,
    settings=(),
    of_weights=True,
    as_table=True,
)
