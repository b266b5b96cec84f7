"""Attacks on other models than they were made for, beside source and target layer by layer."""

import numpy as np

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure, plt, sns

THIRDS = ("first", "middle", "last")
FEWEST = 6  # sources and targets in a scatter: those of three models
EXAMPLES = 4  # pairs of source and target whose maps are drawn


def draw(data, settings):
    """A matrix and a scatter of all sources and targets for each attack; maps of one pair of each sort."""
    transfer = data["layer_transfer"].query("measure == 'layer_cka'")
    kinds = [kind for kind in base.kinds_in(transfer) if probe_kinds.is_adversarial(kind)]
    shown = examples(transfer[transfer["kind"] == kinds[0]])
    maps = data["layer_maps"].query("measure == 'layer_cka'")
    maps = maps[maps["snapshot"].isna()]
    rows = len(kinds) + len(shown)
    figure, axes = plt.subplots(rows, 3, figsize=(11.5, 3.3 * rows), squeeze=False)
    for line, kind in zip(axes, kinds, strict=False):
        part = transfer[transfer["kind"] == kind]
        _matrix(figure, line[0], part, data["models"])
        line[0].set_title(probe_kinds.in_words(kind))
        line[2].remove()
        if len(part) < FEWEST:
            line[1].remove()
            continue
        ranks = data["layer_transfer_ranks"].query("kind == @kind and measure == 'layer_cka'")
        _success(line[1], part, ranks)
    cells = [_cells(row, maps) for row in shown]
    # One scale, or a difference of rounding looks like any other.
    most = max(float(np.nanmax(np.abs(each["difference"]))) for each in cells)
    counts: set[int] = set()
    for line, row, each in zip(axes[len(kinds) :], shown, cells, strict=True):
        _triple(figure, line, row, each, data["layers"], most)
        counts |= set(each["n_attacked"])
    figure.suptitle("Transfer of attacks, and source against target layer by layer")
    of = f" of {probe_kinds.in_words(kinds[0])}" if len(kinds) > 1 else ""
    base.footnote(
        figure, f"{base.counted(counts)} images; maps: an example{of} of each sort of source and target"
    )
    return figure


def examples(transfer) -> list:
    """The first pair of each sort: standard to standard, to robust, and so on."""
    sorts = {}
    for row in transfer.itertuples():
        sorts.setdefault((row.source_eps > 0, row.target_eps > 0), row)
    return [sorts[key] for key in sorted(sorts)][:EXAMPLES]


def _matrix(figure, axis, part, models) -> None:
    names = list(dict.fromkeys([*part["source"], *part["target"]]))
    level = models.set_index("name")["eps"]
    names.sort(key=level.__getitem__)
    grid = part.pivot_table(index="source", columns="target", values="robust_accuracy")
    grid = grid.reindex(index=names, columns=names).to_numpy(float)
    changes = [i for i in range(1, len(names)) if level[names[i]] != level[names[i - 1]]]
    axis.set_facecolor("0.85")
    image = base.square(axis, grid, [base.names_of(models)[name] for name in names], changes, vmin=0, vmax=1)
    if len(names) <= 10:
        for (y, x), value in np.ndenumerate(grid):
            if np.isfinite(value):
                axis.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=7, color=_ink(value))
    axis.set(xlabel="target: shown the images", ylabel="source: made for it")
    figure.colorbar(image, ax=axis, shrink=0.8, label="robust accuracy of the target")


def _success(axis, part, ranks) -> None:
    """What an attack takes of the target's accuracy against same-layer CKA, by third of the depth."""
    said = ranks.set_index("third")
    for third, colour in zip(THIRDS, sns.color_palette("viridis_r", 4)[1:], strict=True):
        words = f"{third} third"
        if np.isfinite(said["spearman_adversarial"][third]):
            words += f": rho {said['spearman_adversarial'][third]:.2f}"
            words += f" (natural {said['spearman_natural'][third]:.2f})"
        taken = 1 - part["robust_accuracy"] / part["accuracy"]
        axis.scatter(part[f"cka_{third}"], taken, s=16, lw=0, color=colour, label=words)
    axis.set(
        xlabel="CKA on the source's images",
        ylabel="share of accuracy taken",
        title=f"{len(part)} sources and targets",
    )
    low, high = axis.get_ylim()
    axis.set_ylim(low - 0.3 * (high - low), high)
    axis.legend(fontsize=6.5, loc="lower left")


def _ink(value: float) -> str:
    return "white" if value < 0.6 else "black"


def _cells(row, maps):
    """The cells of a source and target on natural images and on those that were made for the source."""
    pair = maps[
        maps["model_a"].isin([row.source, row.target]) & maps["model_b"].isin([row.source, row.target])
    ]
    pair = pair[pair["model_a"] != pair["model_b"]]
    attacked = pair[(pair["kind"] == row.kind) & (pair["source"] == row.source)]
    natural = pair[pair["kind"] == "natural"]
    cells = natural.merge(
        attacked, on=["model_a", "model_b", "layer_a", "layer_b"], suffixes=("_natural", "_attacked")
    )
    return cells.assign(difference=cells["value_attacked"] - cells["value_natural"])


def _triple(figure, axes, row, cells, layers, most: float) -> None:
    """The map on the source's adversarial images, that on natural ones, and their difference, to +-most."""
    shown = (("value_attacked", "the source's adversarial images"), ("value_natural", "natural images"))
    for axis, (value, title) in zip(axes, shown, strict=False):
        image = base.draw_layer_map(axis, cells, layers, value)
        axis.set_title(title, fontsize=8)
    figure.colorbar(image, ax=axes[:2], shrink=0.8, label="CKA")
    image = base.draw_layer_map(axes[2], cells, layers, "difference", cmap="RdBu_r", vmin=-most, vmax=most)
    axes[2].set_title("difference", fontsize=8)
    figure.colorbar(image, ax=axes[2], shrink=0.8, label="adversarial - natural")
    a, b = cells["model_a"].iloc[0], cells["model_b"].iloc[0]
    for axis in axes:
        axis.set(xlabel=b)
    right = f"right on {row.accuracy:.2f}, attacked {row.robust_accuracy:.2f}"
    axes[0].set(ylabel=f"{row.source} to {row.target}\n{right}\n{a}")


FIGURE = Figure(
    title="Transfer and layers",
    question="Do attacks transfer between models whose layers are alike?",
    section="layers",
    tables=("models", "layers", "layer_maps", "layer_transfer", "layer_transfer_ranks"),
    draw=draw,
    settings=(),
)
