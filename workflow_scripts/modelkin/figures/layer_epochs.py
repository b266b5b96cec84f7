"""When each layer reaches its last state, beside the losses."""

from modelkin.figures import base
from modelkin.figures.base import Figure, plt, sns

MOST = 6  # models that are drawn
LINES = 8  # layers of each


def draw(data, settings):
    """Two panels for each model: CKA with the last epoch by layer, and losses."""
    rows, losses = data["layer_epochs"], data["training_epochs"]
    names = list(dict.fromkeys(rows["model"]))[:MOST]
    figure, axes = plt.subplots(len(names), 2, figsize=(9.5, 3.1 * len(names)), squeeze=False)
    for (left, right), name in zip(axes, names, strict=True):
        part = rows[rows["model"] == name]
        best = int(part["best_epoch"].iloc[0])
        for colour, layer in _lines(part):
            line = part[part["layer"] == layer]
            left.plot(line["epoch"], line["to_last"], color=colour, lw=1.4, label=f"{layer}")
            low, high = (line["to_last"] + sign * 1.96 * line["to_last_stderr"] for sign in (-1, 1))
            left.fill_between(line["epoch"], low, high, color=colour, alpha=0.15, lw=0)
        left.axhline(0.95, color="0.6", lw=0.8, ls=":")
        left.set(
            title=base.model_in_words(data["models"], name), ylabel="CKA with the last epoch", xlabel="epoch"
        )
        left.legend(fontsize=6.5, title="layer, early to late", title_fontsize=6.5)
        history = losses[losses["model"] == name]
        for split, colour in (("train", "tab:blue"), ("test", "tab:orange")):
            right.plot(history["epoch"], history[f"{split}_loss"], color=colour, label=f"{split}")
            attacked = history[f"{split}_adversarial_loss"]
            right.plot(history["epoch"], attacked, color=colour, ls="--", label=f"{split}, attacked")
        right.set(title="losses", xlabel="epoch", ylabel="cross-entropy (nats)")
        for axis in (left, right):
            axis.axvline(best, color="0.4", lw=0.8)
            axis.xaxis.get_major_locator().set_params(integer=True)
        right.legend(fontsize=6.5)
    figure.suptitle("Which layers converge first")
    counted = base.counted(rows.loc[rows["model"].isin(names), "n"])
    said = f"{counted} images; bands: 95 % intervals; grey line: the epoch of the lowest test loss"
    more = rows["model"].nunique() - len(names)
    base.footnote(
        figure, f"{said}; dotted: .95" + (f"; {more} more models are in the table" if more > 0 else "")
    )
    return figure


def _lines(part):
    """A colour for each layer that is drawn, ends of blocks or else cut points, from early to late."""
    first = part.drop_duplicates("layer")
    ends = first[first["block_end"]]
    chosen = list((ends if len(ends) > 2 else first)["layer"])
    step = max(1, -(-len(chosen) // LINES))
    chosen = chosen[::-step][::-1]  # the last one always
    return zip(sns.color_palette("viridis_r", len(chosen) + 1)[1:], chosen, strict=True)


FIGURE = Figure(
    title="Convergence by layer",
    question="Which layers converge first, and does overfitting begin there?",
    section="layers",
    tables=("models", "layer_epochs", "training_epochs"),
    draw=draw,
    settings=(),
)
