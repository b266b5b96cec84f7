"""What docstrings refer to is there: a name that was changed must not live on in them."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import modelkin

MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(modelkin.__path__, "modelkin.")
    if not found.name.endswith("__main__")
)
REFERENCE = re.compile(r":(?:func|class|meth|data|mod|attr):`~?([\w.]+)`")


def resolves(module, name: str) -> bool:
    """Whether a name is of the module, of a class in it, or of the package by its full path."""
    holders = [module, *(each for each in vars(module).values() if isinstance(each, type))]
    if any(_attribute(holder, name) for holder in holders):
        return True
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        return length == len(parts) or _attribute(found, ".".join(parts[length:]))
    return False


def _attribute(holder, name: str) -> bool:
    for part in name.split("."):
        fields = {**getattr(holder, "__annotations__", {}), **getattr(holder, "__dataclass_fields__", {})}
        if part in fields:
            return True
        if not hasattr(holder, part):
            return False
        holder = getattr(holder, part)
    return True


@pytest.mark.parametrize("name", MODULES)
def test_every_reference_of_a_module_is_there(name):
    module = importlib.import_module(name)
    references = REFERENCE.findall(Path(module.__file__).read_text())
    assert [each for each in references if not resolves(module, each)] == []


def test_a_name_that_is_not_there_is_noticed():
    module = importlib.import_module("modelkin.store.manifests")
    assert resolves(module, "write")
    assert resolves(module, "modelkin.comparison.similarity.similarity_rows")
    assert not resolves(module, "put_in_order")
    assert not resolves(module, "modelkin.comparison.similarity.rows")
