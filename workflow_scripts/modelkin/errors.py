"""The error that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModelkinError(Exception):
    """Something the user gave cannot be used; the message says what, where and what to do."""


class Undefined(ModelkinError):
    """A measure has no value for what it was given, though nothing is wrong with the rest of the study."""


class NotFinite(ModelkinError):
    """A model or its loss gives NaN or infinite values, so nothing can be improved by a gradient."""


def unknown_name(what: str, name: object, valid: Iterable[str]) -> ModelkinError:
    """The error for a name that does not exist, with the nearest valid one."""
    valid = sorted(valid)
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"choose one of: {', '.join(valid)}."
    return ModelkinError(f"unknown {what} '{name}'; {hint}")
