"""Folders in which a module is a choice: its file name is the name that the config uses.

Listing the names imports nothing, so a config is validated without importing torch.
"""

from __future__ import annotations

import ast
import functools
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

from modelkin.errors import unknown_name

# What the choices of a folder share.
INTERNAL = {"base", "table_page"}


def names(package: ModuleType) -> list[str]:
    """The sorted names of the choices in a package."""
    return [*_names(tuple(package.__path__))]


@functools.cache
def _names(folders: tuple[str, ...]) -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(folders) if m.name not in INTERNAL)


def descriptions(package: ModuleType) -> dict[str, str]:
    """The first line of each choice's docstring by its name, read without importing it."""
    found = {}
    for folder in package.__path__:
        for path in Path(folder).glob("*.py"):
            if path.stem in names(package):
                found[path.stem] = (ast.get_docstring(ast.parse(path.read_bytes())) or "").split("\n\n")[0]
    return {name: " ".join(text.split()) for name, text in sorted(found.items())}


def load_choice(package: ModuleType, name: str, what: str) -> ModuleType:
    """The module of one choice; ModelkinError with the nearest valid name if there is none."""
    if name not in names(package):
        raise unknown_name(what, name, names(package))
    return importlib.import_module(f"{package.__name__}.{name}")


def literal(package: ModuleType, name: str, key: str, default: Any = None) -> Any:
    """What a choice's file assigns to a name at its top level, if that is a literal; nothing is imported."""
    (folder,) = package.__path__
    for line in ast.parse(Path(folder, f"{name}.py").read_text()).body:
        if isinstance(line, ast.Assign) and [getattr(each, "id", "") for each in line.targets] == [key]:
            return ast.literal_eval(line.value)
    return default
