"""How far into a network an attack is not seen: natural against own adversarial images, layer by layer."""

from modelkin import probe_kinds
from modelkin.analysis import tables
from modelkin.figures import base
from modelkin.figures.base import Figure


def draw(data, settings):
    """A panel for each attack, a line for each model."""
    rows = data["layer_adversarial"].query("measure == 'layer_cka'")
    kinds = [kind for kind in base.kinds_in(rows) if probe_kinds.is_adversarial(kind)]
    level, colours = tables.model_levels(data["models"]), base.level_colours(base.levels(data["models"]))
    models = data["models"].set_index("name").loc[rows["model"].unique()].sort_values("eps", kind="stable")
    figure, axes = base.facets(len(kinds), width=5.2, height=3.6, columns=2)
    for axis, kind in zip(axes, kinds, strict=True):
        for number, name in enumerate(models.index):
            part = rows[(rows["model"] == name) & (rows["kind"] == kind)]
            look = {"color": colours[level[name]], "ls": ("-", "--", "-.")[number % 3], "lw": 1.4}
            axis.plot(part["depth"], part["value"], label=_words(name, level[name], part), **look)
            axis.fill_between(
                part["depth"], part["ci_low"], part["ci_high"], color=look["color"], alpha=0.2, lw=0
            )
            axis.plot(part["depth"], part["untrained"], color=look["color"], lw=0.8, ls=":")
        axis.set(title=probe_kinds.in_words(kind), xlabel="depth", ylabel="CKA", ylim=(None, 1.03))
        axis.legend(fontsize=6.5, loc="lower left")
    figure.suptitle("Natural against own adversarial images, at the same layer")
    dotted = (
        "; dotted: the same images, networks with random weights" if rows["untrained"].notna().any() else ""
    )
    base.footnote(
        figure,
        f"{base.counted(rows.loc[rows['kind'].isin(kinds), 'n'])} images; bands: 95 % intervals{dotted}",
    )
    return figure


def _words(name: str, level: tables.Level, part) -> str:
    accuracy, robust = (part[column].iloc[0] for column in ("accuracy", "robust_accuracy"))
    return f"{name}, eps {level}: right on {accuracy:.2f}, attacked {robust:.2f}"


FIGURE = Figure(
    title="Attacks by depth",
    question="How far into a network is an attack not seen?",
    section="layers",
    tables=("models", "layer_adversarial"),
    draw=draw,
    settings=(),
)
