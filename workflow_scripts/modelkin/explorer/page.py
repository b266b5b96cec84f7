"""One page on which a study is explored: a single file without server or network.

Tables and small arrays in, the text of one HTML file out. It computes nothing that they do not hold, and
knows neither files of a study nor how anything was measured.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from string import Template
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from modelkin.explorer import answer
from modelkin.explorer.encoding import base64_of, embedded_json, encoded_table, strip
from modelkin.explorer.sentences import Link, Sentence, count, pair, place
from modelkin.probe_kinds import IMPORTED

VIEWS = ("heatmap.js", "answer.js", "pair.js", "model.js", "clusters.js", "measures.js", "tables.js")
SCRIPTS = ("core.js", *VIEWS, "main.js")
# Scripts and styles stand in the page, images in its data; it may ask nobody for anything.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
PICTURES = 9_000_000  # characters of all pictures together, at most
LARGEST_SIDE = 96  # pixels of a picture that is looked at in a page


@dataclass(frozen=True)
class Pictures:
    """Images that models are compared on, a few of each probe.

    Attributes
    ----------
    names : mapping of str to ndarray of shape (n, c, h, w)
        By what they are: "seed", "target", "natural", "inverted/<model>", "adversarial/<model>",
        "worst/<model>" and "worst_target/<model>".
    about : mapping
        What is to be said of each, by the same names: lists of as many texts or numbers, under keys such as
        "label", "loss" or "sample".
    """

    names: Mapping[str, np.ndarray] = field(default_factory=dict)
    about: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Predictions:
    """Which class each model gives each image of the natural probe.

    Attributes
    ----------
    labels : ndarray of int, shape (n,)
    classes : list of str
    by_model : mapping of str to ndarray of int, shape (n,)
    shown : sequence of int
        The rows of the images that stand in the picture "natural", in its order.
    """

    labels: np.ndarray
    classes: Sequence[str]
    by_model: Mapping[str, np.ndarray]
    shown: Sequence[int] = ()


def page(
    study: str,
    tables: Mapping[str, pd.DataFrame],
    *,
    orders: Mapping[tuple[str, str], Sequence[str]],
    pictures: Pictures | None = None,
    predictions: Predictions | None = None,
) -> str:
    """Make the page of a study.

    Parameters
    ----------
    study : str
        Its name.
    tables : mapping of str to DataFrame
        All that the study has, by name: models, measures and similarity always, the others with their own
        sections of the page. level_means and level_differences of :mod:`modelkin.analysis.level_means`, and
        measure_agreement of :mod:`modelkin.analysis.measure_agreement`, which it shows like tables.
    orders : mapping of (str, str) to sequence of str
        By measure and kind of probe, the models in an order in which neighbours are alike.
    pictures : Pictures, optional
    predictions : Predictions, optional

    Returns
    -------
    str
        The text of an HTML file, the same for the same input.
    """
    sentences = answer.answer(tables)
    data = {
        "study": study,
        "tables": {name: encoded_table(frame) for name, frame in tables.items() if name != "dictionary"},
        "dictionary": _meanings(tables.get("dictionary")),
        "orders": [[*key, list(order)] for key, order in orders.items()],
        "predictions": _predictions(predictions),
        "pictures": _pictures(pictures),
    }
    here = resources.files("modelkin.explorer")
    read = {name: (here / "assets" / name).read_text("utf-8") for name in ("page.html", "page.css", *SCRIPTS)}
    return Template(read["page.html"]).substitute(
        policy=POLICY,
        study=html.escape(study),
        subtitle=html.escape(_subtitle(tables)),
        headline=Sentence("", answer.headline(tables)).words_html(),
        answer=_answer(sentences),
        extremes=_extremes(answer.extremes(tables)),
        style=read["page.css"],
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        data=embedded_json(data),
        script="\n".join(read[name] for name in SCRIPTS),
    )


def _subtitle(tables: Mapping[str, pd.DataFrame]) -> str:
    models, rows = tables["models"], tables["similarity"]
    counts = rows.groupby("kind", sort=False)["n"].max()
    images = ", ".join(f"up to {int(n)} {kind}" for kind, n in counts.items() if n > 0 and kind != IMPORTED)
    said = f"{count(len(models), 'image classifier')}, {count(rows['measure'].nunique(), 'measure')}"
    return f"{said}{'; images of a pair: ' if images else ''}{images}. Brackets are 95 % intervals."


def _answer(sentences: Sequence[Sentence]) -> str:
    return "".join(
        f"<section><h3>{html.escape(title)}</h3><ul>{''.join(each.html() for each in part)}</ul></section>"
        for title, part in answer.in_sections(sentences).items()
    )


def _extremes(rows: pd.DataFrame) -> str:
    """A table for each kind of probe: the most and the least alike pair by each measure."""
    parts = []
    for kind, part in rows.groupby("kind", sort=False) if len(rows) else ():
        body = "".join(
            "<tr>"
            f"<th scope='row'>{_link(Link(row.title, place('heatmap', measure=row.measure, kind=kind)))}</th>"
            f"<td>{_link(pair(row.most_a, row.most_b))}</td><td class='number'>{html.escape(row.most)}</td>"
            f"<td class='number'>{'' if pd.isna(row.tied) else int(row.tied)}</td>"
            f"<td>{_link(pair(row.least_a, row.least_b))}</td>"
            f"<td class='number'>{html.escape(row.least)}</td>"
            "</tr>"
            for row in part.itertuples()
        )
        parts.append(
            f"<h4>{html.escape(kind)}{'' if kind == IMPORTED else ' images'}</h4>"
            "<div class='scroll'><table class='plain'><thead><tr>"
            "<th>measure</th><th>most alike</th><th class='number'>value [95 %]</th>"
            "<th class='number' title='other pairs whose intervals overlap with it'>overlapping</th>"
            "<th>least alike</th><th class='number'>value [95 %]</th></tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )
    return "".join(parts)


def _link(link: Link) -> str:
    return Sentence("", [link]).words_html()


def _meanings(dictionary: pd.DataFrame | None) -> dict[str, dict[str, list[str]]]:
    """Unit and meaning of each column of each table."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in () if dictionary is None else dictionary.itertuples():
        found.setdefault(row.table, {})[row.column] = [row.unit, row.meaning]
    return found


def _predictions(predictions: Predictions | None) -> dict[str, Any] | None:
    if predictions is None:
        return None
    return {
        "labels": base64_of(np.asarray(predictions.labels).astype("<i4")),
        "classes": list(predictions.classes),
        "by_model": {
            name: base64_of(np.asarray(values).astype("<i4")) for name, values in predictions.by_model.items()
        },
        "shown": [int(row) for row in predictions.shown],
    }


def _pictures(pictures: Pictures | None) -> dict[str, Any]:
    """All strips, as large as they can be within :data:`PICTURES`."""
    if pictures is None or not pictures.names:
        return {"strips": {}, "about": {}}
    for side in (LARGEST_SIDE, 80, 64, 56, 48, 40, 32, 24, 16):
        made = {name: strip(images, side) for name, images in pictures.names.items()}
        if sum(map(len, made.values())) <= PICTURES:
            break
    strips = {name: {"uri": uri, "n": len(pictures.names[name])} for name, uri in made.items()}
    return {"strips": strips, "about": {name: dict(facts) for name, facts in pictures.about.items()}}
