"""The public names of modelkin: what is written for tools, promised and given at run time is the same."""

import ast
from pathlib import Path

import modelkin


def names_for_tools():
    """What the imports say that are only for tools."""
    tree = ast.parse(Path(modelkin.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return sorted(alias.name for node in block.body for alias in node.names)


def test_names_for_tools_are_those_given():
    assert names_for_tools() == sorted(modelkin.__all__)
    assert sorted(dir(modelkin)) == sorted(modelkin.__all__)


def test_each_name_is_there():
    for name in modelkin.__all__:
        assert getattr(modelkin, name) is not None
