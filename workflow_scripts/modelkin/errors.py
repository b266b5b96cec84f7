"""The error that a user can act on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class ModelkinError(Exception):
    """Something the user gave cannot be used; the message says what, where and what to do."""


class Undefined(ModelkinError):
    """A measure has no value for what it was given, though nothing is wrong with the rest of the study."""


class NotFinite(ModelkinError):
    """A model or its loss gives NaN or infinite values, so nothing can be improved by a gradient."""


LISTED = 30  # names at most, where none is like the one that was given


def unknown_name(
    what: str, name: object, valid: Iterable[str], listed_by: str | None = None
) -> ModelkinError:
    """The error for a name that does not exist, with the nearest valid ones.

    listed_by: the command that lists the valid ones, to be named where they are too many.
    """
    return ModelkinError(f"unknown {what} '{name}'; {nearest_names(str(name), sorted(valid), listed_by)}")


def nearest_names(name: str, valid: list[str], listed_by: str | None = None) -> str:
    """What ends a sentence on a name that does not exist: those it may have meant, or what there is."""
    near = _nearest(name, valid)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    if len(valid) <= LISTED:
        return f"choose one of: {', '.join(valid)}."
    such = f"; `{listed_by}` lists them." if listed_by else f", such as {', '.join(valid[:3])}."
    return f"none of the {len(valid)} that there are is like it{such}"


def _nearest(name: str, valid: list[str]) -> list[str]:
    """The names that it is a part of, and the one that is spelt most alike; else those that share a word."""
    own = _words(name)
    whole = [each for each in valid if own and own <= _words(each)]
    spelt = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    near = [*dict.fromkeys([*whole, *spelt])]
    return (near or [each for each in valid if own & _words(each)])[:3]


def _words(name: str) -> set[str]:
    """The words of a name, of two letters or more."""
    return {word for word in re.split(r"[\W_]+", name.casefold()) if len(word) > 1}
