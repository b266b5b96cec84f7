"""The architectures that can be trained. A module here is an architecture, named as in the config.

``build(channels, size, width, representation)`` returns a module from images
(n, channels, size, size) to representations (n, representation), the input of the last layer.
``PATCH``, if it is there, divides the size; ``SMALLEST`` is the least one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelkin import registry
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks.own_files import read_names
from modelkin.store import disk

CUSTOM = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)(\[(?P<key>[^\]]+)\])?$")


def names() -> list[str]:
    """The names of all architectures, sorted."""
    return registry.names(sys.modules[__name__])


def build(name: str, *, channels: int, size: int, width: int, representation: int):
    """The feature extractor of that name; ModelkinError with the nearest valid name if there is none."""
    module = registry.load_choice(sys.modules[__name__], name, "architecture")
    check_size(name, size)
    return module.build(channels, size, width, representation)


def check_size(name: str, size: int) -> None:
    """ModelkinError if an architecture of ours takes no images of so many pixels a side. Imports no torch."""
    this = sys.modules[__name__]
    patch, smallest = registry.literal(this, name, "PATCH", 1), registry.literal(this, name, "SMALLEST", 1)
    if size % patch:
        raise ModelkinError(
            f"{name} takes images whose sides are multiples of {patch} pixels, and these have {size}; give "
            "the dataset another `size`, or train another architecture."
        )
    if size < smallest:
        raise ModelkinError(
            f"{name} takes images of {smallest} pixels a side at the least, and these have {size}; give the "
            "dataset another `size`, or train another architecture."
        )


def check_custom(place: str) -> re.Match:
    """The parts of 'path/to/file.py:callable', file, name and key; ModelkinError unless the file is there."""
    found = CUSTOM.match(place)
    if found is None:
        raise ModelkinError(f"architecture '{place}' must be path/to/file.py:callable.")
    disk.check_file(found["file"], "the architecture's file")
    return found


def check_callable(place: str) -> None:
    """ModelkinError unless a file has the callable, or the key, that 'path/to/file.py:callable' names.

    The file is read and not run, so a name that running it would make is not missed.
    """
    found = check_custom(place)
    path = Path(found["file"])
    try:
        names = read_names(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ModelkinError(f"architecture '{place}': {path} is not Python: {error.args[0]}{line}.") from None
    if names is None:
        return
    if found["name"] not in names:
        shown = [name for name in names if not name.startswith("_")]
        raise unknown_name(f"callable in {path}", found["name"], shown)
    keys = names[found["name"]]
    if found["key"] is not None and keys is not None and found["key"] not in keys:
        raise unknown_name(f"key of {found['name']} in {path}", found["key"], keys)


def short(architecture: str) -> str:
    """An architecture as it is called in tables and figures: without its file, library or weights' tag."""
    found = CUSTOM.match(architecture)
    if found:
        return found["key"] or found["name"]
    return re.split(r"[:/]", architecture)[-1].split(".")[0]


def custom(place: str, options: Mapping[str, Any] | None = None, sha256: str | None = None):
    """The network that a callable of a user's own file returns.

    place: 'path/to/file.py:callable', or 'path/to/file.py:TABLE[key]' for a callable in a dictionary.
    options: keywords for it. sha256: what the file must have. The file is run. Raises ModelkinError if
    there is no such file or callable, or if it is another file.
    """
    found = check_custom(place)
    path = Path(found["file"])
    text = path.read_bytes()
    if sha256 is not None and hashlib.sha256(text).hexdigest() != sha256:
        raise ModelkinError(
            f"the architecture's file {path} is not the one that the model was taken in with; put that "
            "one back, or delete the model's manifest and run again to take the model in anew."
        )
    spec = importlib.util.spec_from_file_location(f"modelkin_custom_{path.stem}", path)
    assert spec is not None  # its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        # These very bytes, not what may lie in __pycache__.
        exec(compile(text, path, "exec"), vars(module))
        return _callable(module, found["name"], found["key"], path)(**(options or {}))
    except ModelkinError:
        raise
    except Exception as error:
        # Whatever a user's file raises, the user must see where it came from.
        raise ModelkinError(f"architecture '{place}' failed: {type(error).__name__}: {error}.") from error


def _callable(module, name: str, key: str | None, path: Path):
    table = {each: value for each, value in vars(module).items() if not each.startswith("_")}
    if name not in table:
        raise unknown_name(f"callable in {path}", name, table)
    if key is None:
        return table[name]
    if key not in table[name]:
        raise unknown_name(f"key of {name} in {path}", key, table[name])
    return table[name][key]
