"""A new model's similarities from its own adversarial images alone, against the full ones."""

from modelkin import probe_kinds
from modelkin.figures import base
from modelkin.figures.base import Figure


def draw(data, settings):
    """A point for each model taken for a new one and each other model; a panel for each attack."""
    pairs, models = (_by_attack(data[table]) for table in ("sat_shortcut", "sat_shortcut_models"))
    architecture = data["models"].set_index("name")["architecture"]
    looks = base.architecture_looks(data["models"], settings["palette"])
    figure, axes = base.facets(len(pairs), width=5.5, height=4.2, columns=2)
    said = []
    for axis, (kind, rows) in zip(axes, pairs.items(), strict=True):
        rows = rows.dropna(subset=["shortcut"])
        for name, look in looks.items():
            part = rows[rows["model_a"].map(architecture) == name]
            axis.scatter(part["full"], part["shortcut"], s=14, alpha=0.7, lw=0, label=name, **look)
        axis.axline((rows["full"].median(), rows["full"].median()), slope=1, color="0.6", lw=1, ls=":")
        axis.set(
            xlabel="similarity from both models' images (ln %)", ylabel="from the new model's alone (ln %)"
        )
        ranks = models[kind]["spearman"]
        said.append(
            f"{len(rows)} pairs; mean absolute error {rows['error'].abs().mean():.2f}; rank correlation of a "
            f"new model's similarities:\nmedian {ranks.median():.2f}, lowest {ranks.min():.2f}"
        )
    figure.legend(*axes[0].get_legend_handles_labels(), title="new model", loc="outside right center")
    title = "Similarity by attack transferability, by one attack or both"
    if "kind" in data["sat_shortcut"]:
        figure.suptitle(title)
        words = list(map(probe_kinds.in_words, pairs))
        for axis, attack in zip(axes, words, strict=True):
            axis.set_title(attack)
        said = [f"{attack}: {text}" for attack, text in zip(words, said, strict=True)]
    else:
        axes[0].set_title(title)
    base.footnote(figure, "\n".join(said))
    return figure


def _by_attack(rows):
    """The rows of each kind of adversarial probe; a study's only attack has no column for it."""
    if "kind" not in rows:
        return {"adversarial": rows}
    return dict(iter(rows.groupby("kind", sort=False)))


FIGURE = Figure(
    title="Shortcut for a new model",
    question="Is it enough to attack with the new model alone?",
    section="pairs",
    tables=("models", "sat_shortcut", "sat_shortcut_models"),
    draw=draw,
    fewest=4,
)
