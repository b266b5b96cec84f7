"""Pages of the site that follow from code: the config's keys, the figures' questions, the live explorer.

``write(folder, root)`` writes them; docs/conf.py calls it before each build. It knows nothing of Sphinx.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STUDY = "digits"  # the default study, whose figures and explorer are shown where it is finished
SECTIONS = {
    "models": "Do the models work?",
    "inversion": "Inverted images",
    "levels": "Similarity by robustness",
    "pairs": "Every pair",
    "clusters": "Clusters",
    "components": "What makes models alike",
    "ensembles": "Ensembles",
    "distillation": "Distillation and advice",
    "layers": "Layer by layer",
    "stitching": "Stitching",
}
REFERENCE = """# All keys of the config

Written from the schema with which every config is checked
(`workflow_scripts/modelkin/study/config.schema.json`). [Configuration](../config.md) explains them with
examples; a key is required where this says so, and each other one has the default that stands here, or that
depends on others.

"""
GALLERY = """# Gallery

Every figure of a study, by the question that it answers, and the tables that hold its numbers. Pictures are
those of the default study (`make run`){missing}.
[The measures](../measures.md) and [the words](../architecture.md#words) have pages of their own.

"""
LIVE = """# The explorer of the default study

{}

[What it shows and how it is used](../explorer.md), and how it is sent to others.
"""
OPEN = (
    'Open <a href="../explorer.html">the explorer of twenty models of digits</a>: one page, nothing '
    "to install."
)
NOT_YET = """It stands here where the default study was finished before the site was built:

```
make run
make docs
```
"""


def write(folder: Path, root: Path) -> None:
    """Write all pages into a folder of the docs, anew where they changed, with what they show.

    root: of the repository, whose results are looked at.
    """
    results = root / "results" / STUDY
    (folder / "explorer").mkdir(parents=True, exist_ok=True)
    page = results / "explorer.html"
    shown = folder / "explorer" / "explorer.html"
    if page.exists():
        shutil.copyfile(page, shown)
    else:
        shown.unlink(missing_ok=True)
    _write(folder / "live.md", LIVE.format(OPEN if page.exists() else NOT_YET))
    schema = json.loads((root / "workflow_scripts/modelkin/study/config.schema.json").read_text("utf-8"))
    _write(folder / "config_reference.md", config_reference(schema))
    _write(folder / "gallery.md", gallery(results / "figures", folder / "figures"))


def _write(path: Path, text: str) -> None:
    # An untouched page is not read again.
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


# the config


def config_reference(schema: dict[str, Any]) -> str:
    """The page of all keys, in Markdown: a table for each section, one for each kind of entry."""
    lines = [REFERENCE, "## Top level\n", *_table(schema)]
    sections = [(key, value) for key, value in schema["properties"].items() if "properties" in _inner(value)]
    for key, value in sections:
        lines += [f"\n## `{key}`\n", _sentence(value), "", *_table(_inner(value))]
    for name, value in schema["$defs"].items():
        if "properties" in value:
            lines += [f"\n## Entries: {name}\n", _sentence(value), "", *_table(value)]
    return "\n".join(lines) + "\n"


def _inner(value: dict[str, Any]) -> dict[str, Any]:
    """What a key of type object, or the entries of a list, may hold by itself."""
    return value if "properties" in value else value.get("items", {})


def _sentence(value: dict[str, Any]) -> str:
    return _cell(value.get("description", ""))


def _table(value: dict[str, Any]) -> list[str]:
    required = value.get("required", ())
    rows = ["| key | what it is | values | default |", "|---|---|---|---|"]
    for key, inner in value["properties"].items():
        default = "required" if key in required else _default(inner)
        rows.append(f"| `{key}` | {_sentence(inner)} | {_cell(_values(inner))} | {default} |")
    return rows


def _default(value: dict[str, Any]) -> str:
    if "default" not in value or value["default"] in ({}, []):
        return ""
    return f"`{_cell(json.dumps(value['default']))}`"


def _values(value: dict[str, Any]) -> str:
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return "a name" if name == "name" else f"see *{name}*"
    for choice in ("anyOf", "oneOf"):
        if choice in value:
            return " or ".join(dict.fromkeys(filter(None, map(_values, value[choice]))))
    kinds = value.get("type", "")
    said = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if "items" in value and (inner := _values(value["items"])):
        said += f" of {inner}"
    return ", ".join(filter(None, [said, *_bounds(value)]))


def _bounds(value: dict[str, Any]) -> Iterator[str]:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
        "minItems": "entries at least",
    }
    for key, said in words.items():
        if key in value:
            yield f"{said} {value[key]}"
    if "pattern" in value:
        yield f"`{value['pattern']}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")


# the figures


def _framed(title: str, page: str) -> str:
    """A page within a page, with neither's style or script reaching the other."""
    frame = 'sandbox="allow-scripts allow-downloads" style="width: 100%; height: 24rem; border: 0"'
    return f'\n<iframe title="{html.escape(title)}" {frame} srcdoc="{html.escape(page)}"></iframe>'


def gallery(made: Path, pictures: Path) -> str:
    """The page of all figures, in Markdown; those that a finished study has are copied and shown.

    made: the study's figures. pictures: a folder beside the page.
    """
    from modelkin import figures

    shutil.rmtree(pictures, ignore_errors=True)
    missing = "" if made.is_dir() else "; that study is not finished where this was built, so there are none"
    lines = [GALLERY.format(missing=missing)]
    every = {name: figures.get(name) for name in figures.names()}
    for section, title in SECTIONS.items():
        lines.append(f"## {title}\n")
        for name, figure in every.items():
            if figure.section != section:
                continue
            lines += [f"### {figure.title}\n", f"**{figure.question}**\n"]
            lines.append(f"`{name}`, from the tables {', '.join(f'`{table}`' for table in figure.tables)}.")
            if figure.fewest > 1:
                lines.append(f"Of {figure.fewest} models or more.")
            if found := sorted(made.glob(f"{name}.png")) or sorted(made.glob(f"{name}/*.png")):
                pictures.mkdir(exist_ok=True)
                shutil.copyfile(found[0], pictures / f"{name}.png")
                lines.append(f"\n![{figure.question}](figures/{name}.png)")
            elif found := sorted(made.glob(f"{name}/*.html")):
                lines.append(_framed(figure.title, found[0].read_text(encoding="utf-8")))
            lines.append("")
    return "\n".join(lines)
