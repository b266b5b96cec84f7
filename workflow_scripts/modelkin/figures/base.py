"""What a figure is, and what all figures share: style, colours, order of models, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelkin import lazy, probe_kinds
from modelkin.comparison import measures
from modelkin.figures.table_page import TablePage

if TYPE_CHECKING:
    import adjustText as adjusttext
    import matplotlib.pyplot as plt
    import pandas as pd
    import seaborn as sns

    from modelkin.analysis import tables
else:
    adjusttext = lazy.module("adjustText")
    pd = lazy.module("pandas")
    plt = lazy.module("matplotlib.pyplot")
    sns = lazy.module("seaborn")
    tables = lazy.module("modelkin.analysis.tables")

KINDS = (*probe_kinds.ORIGINS, probe_kinds.IMPORTED)
MARKERS = "osD^vPX*<>ph"
LARGEST_SQUARE, SMALLEST_NAME = 24.0, 3.5  # inches of a side; points of a name
FEWEST_SPREAD = 5  # values from which quartiles, or a mean with a standard deviation, are drawn
STYLE = {
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.hashsalt": "modelkin",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Figure:
    """A figure of the study.

    question: what a reader would ask that it answers.
    tables: names of tables, or of 'images' (dataset, pairs and inverted probes) or 'attacked' (the natural
    probe, a model's name and its adversarial probes by kind; ``settings`` then has the ``attacks`` by kind)
    or 'stitched' (test images by task, and for each pair's label what gives the images of one of its views).
    settings: the keys of the config's figures section that it uses, so that others do not redraw it.
    draw(data, settings) returns a matplotlib figure, or with ``as_table`` a TablePage; with ``per_measure``
    it is called with the measure's label too, once for each. measure: the only one it is about and needs.
    of_weights: whether it shows what only models with weights have. of_levels: whether it is about robustness
    levels, so that it says nothing of published models that are all of one. of_threats: whether it compares
    the layers of models that withstand different attacks. fewest: the number of models from
    which it means something; a study of fewer gets a line that says so in its place.
    """

    title: str
    question: str
    section: str
    tables: tuple[str, ...]
    draw: Callable[..., Any]
    settings: tuple[str, ...] = ("palette",)
    per_measure: bool = False
    measure: str | None = None
    of_weights: bool = False
    of_levels: bool = False
    of_threats: bool = False
    fewest: int = 1
    as_table: bool = False

    @property
    def suffix(self) -> str:
        """How the names of the files end that a report shows."""
        return ".html" if self.as_table else ".png"


def save(figure, folder: Path, stem: str, dpi: int, models: pd.DataFrame) -> None:
    """Write PNG and PDF without dates, or a table's page and CSV; the same figure gives the same bytes.

    Models that know nothing are named on every figure: their similarities say nothing either.
    """
    warning = _at_chance(models)
    if isinstance(figure, TablePage):
        figure.save(folder, stem, warning)
        return
    if warning:
        figure.text(0, 1, warning, color="tab:red", fontsize=8, va="bottom")
    # Tight, for a small study's figure may be narrower than its title.
    whole = {"bbox_inches": "tight", "pad_inches": 0.1}
    undated = {"CreationDate": None, "Creator": None, "Producer": None}
    figure.savefig(folder / f"{stem}.png", dpi=dpi, metadata={"Software": None}, **whole)
    figure.savefig(folder / f"{stem}.pdf", metadata=undated, **whole)
    plt.close(figure)


def _at_chance(models: pd.DataFrame) -> str:
    names = [f"{name}\N{DAGGER}" for name in models.loc[models["at_chance"].eq(True), "name"]]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"\N{DAGGER} accuracy at chance level: {', '.join(names[:4])}{more}" if names else ""


def draw_study(figure: Figure, data: Mapping[str, Any], settings: Mapping[str, Any]):
    """A figure of all measures; words in its place if the study has fewer models than it takes."""
    models = len(tables.distinct(data["models"]))
    if models < figure.fewest:
        return _in_words(figure, figure.title, _too_few(figure, models))
    return figure.draw(data, settings)


def draw_measure(figure: Figure, data: Mapping[str, Any], settings: Mapping[str, Any], label: str):
    """A figure of one measure; words in its place if it is of clusters and the measure has none.

    A measure has no clusters if too few models have a value by it, as when they have the same weights.
    """
    title = f"{figure.title} of {describe(label)[0]}"
    if figure.section == "clusters":
        # A copy has the place of its original, and is no further model.
        places = data["clusters"]
        single = tables.of_distinct_models(places, data["models"]).groupby(["measure", "kind"]).size()
        here = single[single >= figure.fewest]
        known = places[pd.MultiIndex.from_frame(places[["measure", "kind"]]).isin(here.index)]
        if label not in set(known["measure"]):
            here = single[single.index.get_level_values("measure") == label]
            why = _too_few(figure, int(here.max()) if len(here) else 0)
            return _in_words(figure, title, f"no clusters: {why}")
        data = {**data, "clusters": known}
    elif (models := len(tables.distinct(data["models"]))) < figure.fewest:
        return _in_words(figure, title, _too_few(figure, models))
    return figure.draw(data, settings, label)


def _too_few(figure: Figure, models: int) -> str:
    return f"too few models have a value: {models}, and this means something from {figure.fewest} on"


def _in_words(figure: Figure, title: str, why: str):
    return TablePage(title, pd.DataFrame(), {}, note=why) if figure.as_table else only_words(title, why)


def only_words(title: str, why: str):
    """A figure that says why there is nothing to draw."""
    drawn, axis = plt.subplots(figsize=(5, 1.5))
    axis.axis("off")
    axis.text(0.5, 0.5, why, ha="center", va="center")
    drawn.suptitle(title)
    return drawn


def as_plain_text(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts are drawn as they are, and not as mathematics if they hold two dollars; its columns
    may be called after components, which users name.
    """
    texts = [name for name in table if pd.api.types.is_string_dtype(table[name].dtype)]
    escaped = {name: table[name].map(_escaped, na_action="ignore") for name in texts}
    changed = {name: column for name, column in escaped.items() if not column.equals(table[name])}
    return table.assign(**changed).rename(columns=_escaped)


def _escaped(value: Any) -> Any:
    return value.replace("$", r"\$") if isinstance(value, str) else value


def describe(label: str) -> tuple[str, str]:
    """The title of a measure's label, and 'similarity' or 'distance'."""
    measure = measures.describe_label(label)
    if not isinstance(measure, measures.Measure):
        return measure.title, measure.direction
    settings, words = measures.ConfiguredMeasure.of(label).settings, measure.setting_words
    numbers = ", ".join(words.get(key, f"{key} = {{}}").format(value) for key, value in settings.items())
    return f"{measure.title} ({numbers})" if numbers else measure.title, measure.direction


def in_order(similarity: pd.DataFrame) -> list[str]:
    """The measures of a table in the order in which they first stand there."""
    return list(dict.fromkeys(similarity["measure"]))


def kinds_in(rows: pd.DataFrame) -> list[str]:
    """The kinds of probe that a table has: the study's own dataset first, natural before inverted.

    Attacks are in the order of their labels, whatever the table's, so that all figures give each one colour.
    """
    return sorted(
        rows["kind"].unique(),
        key=lambda kind: (
            probe_kinds.other_dataset_of(kind) or "",
            KINDS.index(probe_kinds.origin_of(kind)),
            probe_kinds.attack_of(kind) or "",
        ),
    )


def kind_looks(rows: pd.DataFrame, palette: str) -> dict[str, dict[str, Any]]:
    """A colour for each kind of probe in a table, and a marker for how it was made."""
    every = [*dict.fromkeys((*probe_kinds.ORIGINS[:2], *kinds_in(rows)))]
    markers = dict(zip(KINDS, "os^D", strict=True))
    colours = sns.color_palette(palette, max(len(every), len(sns.color_palette(palette))))
    return {
        kind: {"color": colour, "marker": markers[probe_kinds.origin_of(kind)]}
        for kind, colour in zip(every, colours, strict=False)
    }


def kind_legend(figure, axis, *more) -> None:
    """The kinds of probe that are drawn in an axis: in it if there are two, beside the figure if more.

    Attacks with labels that only one of ``more`` axes shows are told apart there.
    """
    handles, kinds = axis.get_legend_handles_labels()
    if len(handles) > 2:
        figure.legend(handles, map(probe_kinds.in_words, kinds), title="probe", loc="outside right center")
    else:
        axis.legend(handles, map(probe_kinds.in_words, kinds), title="probe")
    for other in more:
        drawn = dict(zip(*reversed(other.get_legend_handles_labels()), strict=True))
        attacks = [kind for kind in drawn if probe_kinds.attack_of(kind) and kind not in kinds]
        if attacks:
            other.legend([drawn[kind] for kind in attacks], map(probe_kinds.in_words, attacks), title="probe")


def architecture_looks(models: pd.DataFrame, palette: str) -> dict[str, dict[str, Any]]:
    """A colour and a marker for each architecture, so that neither alone must be told apart.

    The empty one is that of models of which nobody says it.
    """
    found = list(dict.fromkeys(models["architecture"]))
    colours = sns.color_palette(palette, len(found))
    return {name: {"color": colours[i], "marker": MARKERS[i % len(MARKERS)]} for i, name in enumerate(found)}


def architecture_legend(figure, looks: Mapping[str, dict[str, Any]]) -> None:
    """The markers of :func:`architecture_looks` beside a figure whose colours mean something else.

    There is none where no architecture is known.
    """
    if not any(looks):
        return
    handles = [
        plt.Line2D([], [], ls="", color="0.4", marker=look["marker"], label=name or "not known")
        for name, look in looks.items()
    ]
    figure.legend(handles=handles, title="architecture", loc="outside right center")


def level_colours(levels: Sequence[tables.Level]) -> dict[tables.Level, Any]:
    """A colour for each robustness level, from light (standard) to dark."""
    return dict(zip(levels, sns.color_palette("viridis_r", len(levels) + 1)[1:], strict=True))


def levels(models: pd.DataFrame) -> list[tables.Level]:
    """The robustness levels of a study, rising, those of one norm after those of another."""
    return sorted(set(tables.model_levels(models).values()))


def without_copies(models: pd.DataFrame) -> str:
    """The end of a footnote about which models are left out, as their weights are those of others."""
    names = set(models["name"]) - set(tables.distinct(models)["name"])
    left_out = [name for name in models["name"] if name in names]
    return f"; without {', '.join(left_out)}, copies of other models" if left_out else ""


def placed_copies(models: pd.DataFrame) -> str:
    """The end of a footnote about which models stand where others of their weights do."""
    said = without_copies(models).removeprefix("; without ").removesuffix(", copies of other models")
    return f"\ncopies of other models, in no matrix, at the places of these: {said}" if said else ""


def names_of(models: pd.DataFrame) -> dict[str, str]:
    """How each model is written in a figure: an asterisk marks a failed inversion, a dagger chance level."""
    # Missing where a model has no weights: then there is nothing to mark.
    marked = models[["inversion_failed", "at_chance"]].eq(True).astype(int)
    return {
        name: name + "*" * failed + "\N{DAGGER}" * at_chance
        for name, failed, at_chance in zip(models["name"], *marked.to_numpy().T, strict=True)
    }


def facets(count: int, width: float = 3.0, height: float = 2.6, columns: int = 3):
    """A figure with ``count`` axes in rows of ``columns``; the unused ones are removed."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False)
    for extra in axes.flat[count:]:
        extra.remove()
    return figure, list(axes.flat[:count])


def kept(axes: np.ndarray) -> list[Any]:
    """The axes of a grid that were not removed."""
    return [axis for axis in axes.flat if axis.get_figure() is not None]


def eps_axis(axis, found: Sequence[tables.Level], label: str = "robustness level eps") -> np.ndarray:
    """Levels at equal distances on the x axis; returns their positions."""
    axis.set_xticks(range(len(found)), list(map(str, found)))
    axis.set_xlabel(label)
    return np.arange(len(found))


def show_image(axis, image: np.ndarray) -> None:
    """Draw an image (c, h, w) in [0, 1], grey if it has one channel."""
    grey = image.shape[0] == 1
    axis.imshow(np.moveaxis(image, 0, -1).squeeze(), cmap="gray" if grey else None, vmin=0, vmax=1)


def without_failed(rows: pd.DataFrame) -> str:
    """The end of a footnote about how many sources of these similarities could not be inverted.

    Their images say nothing of similarity, so they are in no mean.
    """
    probes = rows[rows["kind"].map(probe_kinds.origin_of) == "inverted"]
    failed = probes[tables.failed_sources(probes)]
    if failed.empty:
        return ""
    return (
        f"; hollow: with the inverted images of {failed['source'].nunique()} of {probes['source'].nunique()} "
        "models whose inversion failed, which are in no mean"
    )


def rescued(models: pd.DataFrame) -> str:
    """The end of a footnote about how many images were inverted at the second try, if there was one."""
    if "inversion_rescued" not in models:
        return ""
    shares = models["inversion_rescued"].dropna().astype(float)
    some = shares[shares > 0]
    if some.empty:
        return "; no image at a second try"
    most = f"{shares.mean():.0%} of all images at a second try, of {len(some)} of {len(shares)} models"
    return f"; {most}, up to {some.max():.0%} of one's"


def counted(numbers: Iterable[float]) -> str:
    """The counts that a figure rests on, in words: one, or the lowest and the highest."""
    found = sorted({int(number) for number in numbers})
    if not found:
        return "0"
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"


def samples_in_words(rows: pd.DataFrame) -> str:
    """On how many images of each kind of probe these rows of the similarity table rest; empty if on none.

    Nobody says on how many images an imported table rests.
    """
    rows = rows[rows["n"] > 0]
    return ", ".join(
        f"{counted(rows.loc[rows['kind'] == kind, 'n'])} {probe_kinds.in_words(kind)} images"
        for kind in kinds_in(rows)
    )


def footnote(figure, text: str) -> None:
    """A line of small print under a figure: n, chance level, what the marks mean."""
    figure.supxlabel(text, fontsize=8, color="0.35")


def side_of_square(models: int, each: float) -> float:
    """Inches that the side of a matrix of models takes; beyond :data:`LARGEST_SQUARE` its cells shrink."""
    return min(each * models, LARGEST_SQUARE)


def square(axis, grid: pd.DataFrame, labels: Sequence[str], changes: Sequence[int], **scale):
    """A matrix of models as an image with their names, white lines where a group ends; the image.

    Names get smaller where there is no room, and are left out where nobody could read them.
    """
    image = axis.imshow(grid, cmap="viridis", **scale)
    cell = 72 * axis.get_position().width * axis.figure.get_figwidth() / max(1, len(labels))
    size = min(7.0, 0.9 * cell)
    if size >= SMALLEST_NAME:
        axis.set_xticks(range(len(labels)), labels, rotation=90, fontsize=size)
        axis.set_yticks(range(len(labels)), labels, fontsize=size)
    else:
        axis.set(xticks=[], yticks=[])
    for place in changes:
        axis.axhline(place - 0.5, color="white", lw=1.2)
        axis.axvline(place - 0.5, color="white", lw=1.2)
    axis.spines[:].set_visible(False)
    return image


def cluster_colours(clusters: pd.DataFrame, palette: str) -> list[Any]:
    """A colour for each number that clusters have, the same for all kinds of probe."""
    return sns.color_palette(palette, int(clusters["cluster"].max()) + 1)


def clustered_points(
    axis,
    places: pd.DataFrame,
    models: pd.DataFrame,
    *,
    names_up_to: int,
    palette: str,
    sizes: pd.Series,
    colours: Sequence[Any],
) -> list[Any]:
    """Models at places (model, x, y, cluster): colour is the cluster, marker the architecture.

    sizes: area of each model's marker, by name. Returns their names as they are drawn, for
    :func:`spread_names`; none for more models than ``names_up_to``, where they would hide the points.
    """
    architectures = models.set_index("name")["architecture"]
    looks, written = architecture_looks(models, palette), names_of(models)
    names = []
    for row in places.itertuples():
        marker, colour = looks[architectures[row.model]]["marker"], colours[row.cluster]
        axis.scatter(row.x, row.y, s=sizes[row.model], marker=marker, color=colour, alpha=0.8, lw=0)
        if len(places) <= names_up_to:
            names.append(axis.text(row.x, row.y, written[row.model], fontsize=6, color="0.3"))
    return names


def spread_names(figure, names: Mapping[Any, Sequence[Any]]) -> None:
    """Move names beside their points until none lies on another, with a line to a point that is far.

    names: of each axis, as :func:`clustered_points` returns them. The last thing that is done to a figure,
    for it holds where axes stand.
    """
    figure.canvas.draw()
    figure.set_layout_engine("none")
    for axis, texts in names.items():
        if texts:
            line = {"arrowstyle": "-", "color": "0.6", "lw": 0.5}
            # By steps and not by seconds, so that the same figure is the same file.
            x, y = np.transpose([text.get_position() for text in texts])
            adjusttext.adjust_text(texts, x, y, ax=axis, iter_lim=300, expand=(1.2, 1.5), arrowprops=line)


def cluster_legend(figure, colours: Sequence[Any]) -> None:
    """The colours of :func:`cluster_colours` beside a figure, by the clusters' numbers."""
    handles = [
        plt.Line2D([], [], ls="", marker="s", color=colour, label=str(number))
        for number, colour in enumerate(colours, 1)
    ]
    figure.legend(handles=handles, title="cluster", loc="outside right upper")


def strip(
    axis,
    groups: Sequence[np.ndarray],
    look: Mapping[str, Any],
    *,
    label=None,
    shift: float = 0,
    hollow: Sequence[np.ndarray] = (),
):
    """Each group as points at its place on the x axis, from :data:`FEWEST_SPREAD` of them on faint ones with
    their mean and standard deviation.

    hollow: values that stand beside a group and are in no mean.
    """
    for place, values in enumerate(hollow):
        places = np.full(len(values), place + shift)
        axis.scatter(places, values, s=14, lw=0.7, facecolors="none", edgecolors=look["color"])
    for place, values in enumerate(groups):
        # By the golden ratio, so that neighbours stand apart, and the same values at the same places.
        aside = 0.12 * ((np.arange(len(values)) * 0.618 + 0.5) % 1 - 0.5)
        size, alpha = (6, 0.35) if len(values) >= FEWEST_SPREAD else (12, 0.8)
        axis.scatter(place + shift + aside, np.sort(values), s=size, alpha=alpha, lw=0, color=look["color"])
    many = [len(values) >= FEWEST_SPREAD for values in groups]
    means, spreads = (
        [function(values) if kept else np.nan for values, kept in zip(groups, many, strict=True)]
        for function in (np.mean, lambda values: np.std(values, ddof=1))
    )
    places = np.arange(len(groups)) + shift
    axis.errorbar(places, means, spreads, ls="", capsize=2, ms=5, label=label, **look)


def outcome_points(outcomes: pd.DataFrame, similarity: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The pairs of models that have both the outcome and a value, by measure and kind of probe."""
    points = outcomes.merge(tables.both_directions(similarity), on=["model_a", "model_b"])
    return points[np.isfinite(points[["value", outcome]].to_numpy(float)).all(axis=1)]


def rows_of_points(similarity: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """The rows of the similarity table from which the values of :func:`outcome_points` are."""
    pairs = {frozenset(pair) for pair in zip(points["model_a"], points["model_b"], strict=True)}
    here = [
        frozenset(pair) in pairs for pair in zip(similarity["model_a"], similarity["model_b"], strict=True)
    ]
    return similarity[np.array(here, dtype=bool)]


def outcome_panels(
    outcomes: pd.DataFrame,
    similarity: pd.DataFrame,
    correlations: pd.DataFrame,
    *,
    outcome: str,
    label: str,
    palette: str,
):
    """A panel for each measure: a column of ``outcomes`` (model_a, model_b, ...) against similarity.

    Each kind of probe has its colour and marker, and its correlations in the legend.
    """
    names = in_order(similarity)
    looks = kind_looks(similarity, palette)
    figure, axes = facets(len(names), width=3.2, height=3.0)
    found = outcome_points(outcomes, similarity, outcome)
    for axis, measure in zip(axes, names, strict=True):
        known = correlations[correlations["measure"] == measure].set_index("kind")
        for row in known.loc[kinds_in(known.reset_index())].itertuples():
            points = found[(found["measure"] == measure) & (found["kind"] == row.Index)]
            failed = points["inversion_failed"].to_numpy(bool)
            size, colour = 9 if len(points) > 50 else 22, looks[row.Index]["color"]
            axis.scatter(
                points.loc[~failed, "value"],
                points.loc[~failed, outcome],
                s=size,
                alpha=0.7,
                lw=0,
                **looks[row.Index],
                label=f"{probe_kinds.in_words(row.Index)}: {_said(row, failed)}",
            )
            axis.scatter(
                points.loc[failed, "value"],
                points.loc[failed, outcome],
                s=size,
                lw=0.7,
                marker=looks[row.Index]["marker"],
                facecolors="none",
                edgecolors=colour,
            )
        title, direction = describe(measure)
        axis.set(title=title, xlabel=direction, ylabel=label)
        # Room below the points, so that the correlations hide none.
        low, high = axis.get_ylim()
        axis.set_ylim(low - 0.22 * (high - low), high)
        axis.legend(fontsize=6.5, loc="lower left", handletextpad=0.1, borderaxespad=0.1)
    return figure


def _said(row, failed: np.ndarray) -> str:
    """A correlation with its interval, over models, and without those whose inversion failed."""
    if np.isnan(row.pearson):
        return "nothing to correlate"
    text = f"r {row.pearson:.2f} [{row.pearson_low:.2f}, {row.pearson_high:.2f}], p {row.pearson_p:.2g}"
    if not failed.any():
        return text
    without = "none" if np.isnan(row.pearson_inverted) else f"r {row.pearson_inverted:.2f}"
    return f"{text}\nwithout hollow ones: {without}"


def style() -> None:
    """Set the look that all figures share, and a backend that needs no screen."""
    plt.switch_backend("agg")
    plt.rcParams.update(STYLE)


# Figures of layers.


def layer_rows(layers: pd.DataFrame, model: str, names: Iterable[str]) -> pd.DataFrame:
    """The rows of the table ``layers`` for those layers of a model that a map has, in order."""
    rows = layers[layers["model"] == model].set_index("layer")
    return rows.loc[[*dict.fromkeys(names)]].reset_index()


def layer_ticks(axis, rows: pd.DataFrame, which: str, most: int = 10) -> None:
    """Name some layers of a model along an axis of a map, and mark where stages begin.

    Named are ends of blocks, or cut points where there are fewer than three of these, as many as are legible.
    which: 'x' or 'y'.
    """
    named = rows.index[rows["block_end"]]
    named = named if len(named) > 2 else rows.index[rows["cut_point"]]
    named = named if len(named) > 2 else rows.index
    chosen = named[np.unique(np.linspace(0, len(named) - 1, min(most, len(named))).round().astype(int))]
    labels = [_short(name) for name in rows["layer"][chosen]]
    if which == "x":
        axis.set_xticks(list(chosen), labels, rotation=90, fontsize=6)
    else:
        axis.set_yticks(list(chosen), labels, fontsize=6)
    line = axis.axvline if which == "x" else axis.axhline
    for place in np.flatnonzero(np.diff(rows["stage"])):
        line(place + 0.5, color="white", lw=0.8, alpha=0.8)


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"\N{HORIZONTAL ELLIPSIS}{name[1 - most :]}"


def draw_layer_map(axis, cells: pd.DataFrame, layers: pd.DataFrame, value: str = "value", **look):
    """One map of the table ``layer_maps`` as an image, model_a's layers upwards; the image.

    Cells without a value are grey.
    """
    a, b = (layer_rows(layers, cells[f"model_{side}"].iloc[0], cells[f"layer_{side}"]) for side in "ab")
    grid = cells.pivot_table(index="layer_a", columns="layer_b", values=value, dropna=False)
    grid = grid.reindex(index=a["layer"], columns=b["layer"]).to_numpy(float)
    axis.set_facecolor("0.7")
    image = axis.imshow(grid, origin="lower", interpolation="nearest", **({"vmin": 0, "vmax": 1} | look))
    layer_ticks(axis, a, "y")
    layer_ticks(axis, b, "x")
    axis.spines[:].set_visible(False)
    return image


def model_in_words(models: pd.DataFrame, name: str) -> str:
    """A model and its robustness level, as it stands above a map."""
    eps = models.set_index("name")["eps"][name]
    return f"{names_of(models)[name]} (eps {eps:g})"


def statistic_of(summary: pd.DataFrame, statistic: str) -> str:
    """A statistic of one map in words, with its interval and that of random weights."""
    row = summary[summary["statistic"] == statistic].iloc[0]
    said = f"{row['value']:.2f}"
    if np.isfinite(row["ci_low"]):
        said += f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    return f"{said}, untrained {row['untrained']:.2f}" if np.isfinite(row["untrained"]) else said


def stitched_pairs(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each stitched pair by its title, which says the images where they are of several tasks."""
    several = len(table["task"].drop_duplicates()) > 1
    groups = table.groupby(["front", "end", "task"], sort=False)
    return {f"{front} to {end}{f', on {task}' if several else ''}": own for (front, end, task), own in groups}


def start_in_words(start: str) -> str:
    """From where a stitch was trained, as legends say it."""
    return f"{start.replace('_', '-')} start"
