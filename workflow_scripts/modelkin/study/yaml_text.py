"""Reads and writes the YAML of a config, which may be a stranger's. It knows nothing of what configs mean."""

from __future__ import annotations

from typing import Any

import yaml

DEEPEST = 50  # mappings and lists in each other; the library's time grows with the square of it
LONGEST = 2**11  # characters of one value; Python writes no whole number of more than 4,300 digits


class Loader(yaml.SafeLoader):
    """YAML's own reader of plain values, with bounds."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As YAML's, but for what is nested without an end."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {DEEPEST} deep")
        found = super().compose_node(parent, index)
        self.depth -= 1
        return found

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """As YAML's, but for values too long to be any."""
        found = super().compose_scalar_node(anchor)
        if len(found.value) > LONGEST:
            raise yaml.YAMLError(f"it has a value of more than {LONGEST} characters")
        return found


class LoaderWithoutAliases(Loader):
    """As :class:`Loader`, but a few lines of aliases can stand for more than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """As of its parent, but for aliases."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        return super().compose_node(parent, index)


class _DumperWithoutAliases(yaml.SafeDumper):
    """YAML's own writer of plain values; what stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def write_yaml(value: Any) -> str:
    """The text of a value, in the order of its keys, as :class:`LoaderWithoutAliases` takes it."""
    return yaml.dump(value, Dumper=_DumperWithoutAliases, sort_keys=False)


def read_yaml(text: str, loader: type[Loader] = Loader) -> Any:
    """The value of a YAML text.

    Raises
    ------
    yaml.YAMLError
        Whatever is wrong with it.
    """
    try:
        return yaml.load(text, loader)  # noqa: S506
    except yaml.YAMLError:
        raise
    except Exception as error:
        # Tags that say of a value that it is what it is not end in any error whatever.
        raise yaml.YAMLError(" ".join(str(error).split())[:200]) from None
