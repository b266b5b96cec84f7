"""What the manifests of each stage say of their artifacts, for those of strangers to be held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelkin import lazy

if TYPE_CHECKING:
    import jsonschema
else:  # which most that read manifests do without
    jsonschema = lazy.module("jsonschema")

TEXTS = {"type": "array", "items": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0, "maximum": 2**40}
NUMBER = {"type": ["number", "null"]}
TABLE = {"type": "object", "properties": {"columns": TEXTS, "rows": COUNT}}
NUMBERS = {"type": "object", "additionalProperties": NUMBER}
MODEL = {
    "type": "object",
    "required": ["build", "source", "origin", "weights", "parameters", "size", "head"],
    "properties": {
        "build": {"type": "object", "required": ["source"], "properties": {"source": {"type": "string"}}},
        **{key: {"type": "string"} for key in ("source", "origin", "weights", "head")},
        **dict.fromkeys(("parameters", "size"), COUNT),
        **dict.fromkeys(("multiply_adds", "width"), NUMBER),
        "mean": {"type": "array", "items": {"type": "number"}},
        "std": {"type": "array", "items": {"type": "number"}},
        "split_points": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        },
    },
}
DATASET = {
    "type": "object",
    "required": ["images", "classes", "shape"],
    "properties": {
        "images": {"type": "object", "required": ["test"], "additionalProperties": COUNT},
        "classes": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "shape": {"type": "array", "minItems": 3, "maxItems": 3, "items": COUNT | {"minimum": 1}},
        "modes": {"type": "object", "additionalProperties": COUNT},
    },
}
# Of a stage that is not here, nothing in its facts is relied on.
FACTS = {
    **{"train": MODEL, "import": MODEL, "dataset": DATASET, "invert": NUMBERS, "attack": NUMBERS},
    **dict.fromkeys(("evaluate", "tables", "similarity", "imported", "distill", "draws"), TABLE),
}


def why_wrong(stage: str, facts: Mapping[str, Any]) -> str | None:
    """What is wrong with the facts of a stage's manifest, on one line; None if nothing is."""
    if stage not in FACTS:
        return None
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(FACTS[stage]).iter_errors(facts))
    return error and " ".join(f"{'.'.join(map(str, error.absolute_path))} {error.message}".split())[:200]
