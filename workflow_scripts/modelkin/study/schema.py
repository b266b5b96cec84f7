"""Keys and values checked against a JSON schema and filled with its defaults; each error is one sentence.

It knows schemas, and nothing of studies.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema

from modelkin.errors import ModelkinError, unknown_name

SCHEMA = Path(__file__).with_name("config.schema.json")


def validate(config: dict[str, Any], schema: dict[str, Any]) -> None:
    """ModelkinError with the first thing that the schema does not allow."""
    errors = jsonschema.Draft202012Validator(schema).iter_errors(config)
    first = jsonschema.exceptions.best_match(errors)
    if first is not None:
        raise _friendly(first)


def _friendly(error: jsonschema.ValidationError) -> ModelkinError:
    where = _where(error.absolute_path)
    if error.validator == "additionalProperties":
        valid = error.schema["properties"]
        extra = next(key for key in error.instance if key not in valid)
        return unknown_name(f"key in {where or 'the config'}", extra, valid)
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return ModelkinError(f"{where or 'the config'} lacks the key '{missing}'.")
    if error.validator == "enum":
        return unknown_name(where, error.instance, map(str, error.validator_value))
    if error.validator == "anyOf" and (meant := _meant(error.context)):
        return _friendly(meant)
    if error.validator == "minItems":
        least = error.validator_value
        return ModelkinError(f"{where} needs at least {least} {'entry' if least == 1 else 'entries'}.")
    said = {
        "minimum": "at least {}",
        "exclusiveMinimum": "greater than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "type": "of type {}",
        "const": "{}",
    }.get(error.validator)
    if said is not None:
        wanted = error.validator_value
        wanted = " or ".join(wanted) if isinstance(wanted, list) else wanted
        return ModelkinError(f"{where} must be {said.format(wanted)}, not {error.instance!r}.")
    if error.validator == "pattern" and where.endswith(("name", "study", "label")):
        return ModelkinError(
            f"{where}: '{error.instance}' is not usable as a name; use letters, digits and . _ + - only."
        )
    return ModelkinError(f"{where}: {error.message}.")


def _meant(errors: Iterable[jsonschema.ValidationError]) -> jsonschema.ValidationError | None:
    """Of the errors of several forms, that of the one that was tried: the others are of another type."""
    of_form = [error for error in errors if error.validator != "type"]
    deepest = max((len(error.absolute_path) for error in of_form), default=0)
    furthest = [error for error in of_form if len(error.absolute_path) == deepest]
    return furthest[0] if len(furthest) == 1 else None


def _where(path: Iterable[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def fill(value: dict[str, Any], part: dict[str, Any], deep: bool = True) -> None:
    """Add the defaults of a part of the schema to a value, section by section if deep."""
    for key, default in defaults(part).items():
        value.setdefault(key, copy.deepcopy(default))
    for key, inner in part["properties"].items():
        if deep and isinstance(value.get(key), dict) and "properties" in inner:
            fill(value[key], inner)


def fill_choice(section: dict[str, Any], where: str, by: str, choices: Mapping[str, Mapping]) -> None:
    """Add the defaults of what the key ``by`` chooses; ModelkinError if a key is for another choice."""
    chosen = section[by]
    for key in section:
        others = [other for other, keys in choices.items() if key in keys]
        if others and chosen not in others:
            raise ModelkinError(
                f"{where}: '{key}' is not for {by} {chosen}; it is for {by} {' or '.join(others)}."
            )
    for key, default in choices[chosen].items():
        section.setdefault(key, default)


def defaults(part: dict[str, Any]) -> dict[str, Any]:
    """The defaults of the keys of a part of the schema."""
    return {key: inner["default"] for key, inner in part["properties"].items() if "default" in inner}
