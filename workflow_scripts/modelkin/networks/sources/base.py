"""What sources share: options that are plain values and name nothing outside of a library, and its text."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError

PLAIN_TEXT = re.compile(r"[A-Za-z0-9_.+-]{0,64}")
LARGEST = 2**20  # of numbers
# What makes builders fetch weights, or open a file.
REACHING = re.compile(r"pretrained.*|.*weights.*|.*checkpoint.*|.*(path|dir|file|url)|hf_.*|hub_.*")


@functools.cache
def library_text(package: str, folder: str) -> str:
    """The text of the modules in a folder of an installed package; empty if it is not installed.

    A name that stands there need not be asked for by importing the library, which takes seconds where a
    config is checked in less. A name that does not may still be one: the library itself has the last word.
    """
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a module that was made by hand, of no file
        return ""
    if spec is None or not spec.submodule_search_locations:
        return ""
    files = sorted(Path(spec.submodule_search_locations[0], folder).glob("*.py"))
    return "\n".join(path.read_text("utf-8", errors="replace") for path in files)


def check_plain_options(options: Mapping[str, Any]) -> None:
    """ModelkinError unless the options, which may be a stranger's, are plain values and open nothing."""
    for key, value in options.items():
        if not PLAIN_TEXT.fullmatch(key) or REACHING.fullmatch(key) or not _is_plain(value):
            raise ModelkinError(
                f"the manifest builds its network with the option {key!r:.60}, which is no plain value or "
                "reaches out of the library; nothing is built of it."
            )


def _is_plain(value: Any, deep: int = 4) -> bool:
    if isinstance(value, str):
        return PLAIN_TEXT.fullmatch(value) is not None
    if isinstance(value, bool | None):
        return True
    if isinstance(value, int | float):
        return abs(value) <= LARGEST
    if not deep or not isinstance(value, list | dict) or len(value) > 1000:
        return False
    if isinstance(value, dict):
        return all(
            PLAIN_TEXT.fullmatch(key) and not REACHING.fullmatch(key) and _is_plain(each, deep - 1)
            for key, each in value.items()
        )
    return all(_is_plain(each, deep - 1) for each in value)
