"""What a config that somebody else wrote would run or reach for, and the user's word that it may.

Entries that came in a bundle and name code, files or downloads are marked ``untrusted: true``; nothing opens
what they name until the user has changed that. It reads no file but the config.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

import yaml

from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import architectures
from modelkin.store.disk import write_text
from modelkin.study.yaml_text import Loader, read_yaml

COMMAND = "python -m modelkin trust"
OURS = ("train", "none")  # sources that name nothing outside of this package
OUR_DATASETS = ("digits",)
BY_NAME = re.compile(r"[A-Z][A-Z0-9_]*")  # of torchvision's weights
KEY = "untrusted"


class Reaching(NamedTuple):
    """An entry that reaches out: what it is called, what it would do, and where it stands in the config."""

    name: str
    does: list[str]
    where: tuple[str | int, ...]


def reaching_entries(config: Mapping[str, Any]) -> list[Reaching]:
    """The entries of a config that would run code, read files or download something, and what they would do.

    Parameters
    ----------
    config
        Of any shape: what is not of its type is passed over, for checking comes after.
    """
    found = []
    for name, where, entry in _entries(config):
        kind = where[0]
        does = _of_model(entry) if kind == "models" else _of_files(entry, kind)
        if does:
            found.append(Reaching(name, does, where))
    return found


def marked_untrusted(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with ``untrusted: true`` on every entry that reaches out, and on no other."""
    marked = copy.deepcopy(dict(config))
    for _, _, entry in _entries(marked):
        entry.pop(KEY, None)
    for each in reaching_entries(marked):
        _at(marked, each.where)[KEY] = True
    return marked


def still_untrusted(config: Mapping[str, Any]) -> list[Reaching]:
    """The entries that are marked, and what they would do."""
    return [
        Reaching(name, _of_model(entry) if where[0] == "models" else _of_files(entry, where[0]), where)
        for name, where, entry in _entries(config)
        if entry.get(KEY) is True
    ]


def trust_entries(text: str, names: Iterable[str]) -> tuple[str, list[Reaching]]:
    """The text of a config in which these entries are trusted, and what they may do from now on.

    Only the word ``true`` after ``untrusted:`` changes; comments stay. names: of models, of imported tables,
    the labels of datasets, 'dataset' or 'components'. Raises ModelkinError if one is of no untrusted entry,
    or of two.
    """
    try:
        config, tree = read_yaml(text), yaml.compose(text, Loader)
    except yaml.YAMLError as error:
        raise ModelkinError(f"the config is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(config, dict):
        raise ModelkinError("the config must hold keys and values.")
    marked = still_untrusted(config)
    trusted = []
    for name in names:
        meant = [each for each in marked if each.name == name]
        if not meant:
            raise unknown_name("untrusted entry", name, [each.name for each in marked])
        if len(meant) > 1:
            raise ModelkinError(
                f"two untrusted entries are called '{name}'; edit the config's lines instead."
            )
        trusted += meant
    for start, end in sorted((_word(tree, each.where) for each in trusted), reverse=True):
        text = f"{text[:start]}false{text[end:]}"
    return text, trusted


def trust_in_file(path, names: Iterable[str]) -> list[Reaching]:
    """As :func:`trust_entries`, in the file of a config."""
    path = PurePath(path)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise ModelkinError(f"the config {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ModelkinError(f"the config {path} is not valid YAML: it is no text in UTF-8.") from None
    changed, trusted = trust_entries(text, names)
    write_text(path, changed)
    return trusted


def advice(name: str) -> str:
    """What to tell whoever needs an entry that is untrusted."""
    return (
        f"'{name}' came in a bundle and is untrusted; look at its entry in the config, then type "
        f"`{COMMAND} {name}` with `--config` and its file."
    )


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...], dict[str, Any]]]:
    """Every entry that may reach out: its name, its place, and itself."""
    for section, key in (("models", "name"), ("other_datasets", "label"), ("imported", "label")):
        listed = config.get(section)
        for number, entry in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(entry, dict):
                yield str(entry.get(key)), (section, number), entry
    for section in ("dataset", "components"):
        if isinstance(config.get(section), dict):
            yield section, (section,), config[section]


def _of_model(entry: Mapping[str, Any]) -> list[str]:
    source, architecture = entry.get("source"), str(entry.get("architecture", ""))
    if source in OURS:
        return []
    does, weights = [], entry.get("weights")
    local = weights is not None and not (source == "torchvision" and BY_NAME.fullmatch(str(weights)))
    own = architectures.CUSTOM.match(architecture)
    if own:
        does.append(f"runs the code of {_placed(own['file'])}")
    elif architecture.startswith("local-dir:"):
        does.append(f"reads {_placed(architecture.removeprefix('local-dir:'))}")
    elif source not in ("file", "robustness") and (not local or architecture.startswith("hf-hub:")):
        does.append(f"downloads {architecture} of {source}")
    if local:
        does.append(f"reads {_placed(weights)}")
    if entry.get("trust_pickle"):
        does.append(f"runs the code in {_placed(weights)}")
    options = entry.get("options")
    does += [f"gives it {value!r:.80}" for value in _paths(options)]
    return does or [f"takes '{architecture}' of source '{source}'"]


def _of_files(entry: Mapping[str, Any], kind: str) -> list[str]:
    if kind in ("imported", "components"):
        return [f"reads {_placed(entry.get('file'))}"]
    if entry.get("name") in OUR_DATASETS:
        return []
    named = [entry[key] for key in ("test", "train", "root", "classes") if isinstance(entry.get(key), str)]
    does = [f"reads {_placed(each)}" for each in named]
    if entry.get("download"):
        does.append(f"downloads {entry.get('dataset')}")
    return does or [f"reads the dataset '{entry.get('name')}'"]


def _paths(options: Any) -> list[str]:
    """The texts among options that could be paths or addresses."""
    if isinstance(options, dict):
        return [path for each in options.values() for path in _paths(each)]
    if isinstance(options, list):
        return [path for each in options for path in _paths(each)]
    return [options] if isinstance(options, str) and re.search(r"[/\\:]", options) else []


def _placed(path: Any) -> str:
    parts = PurePath(str(path))
    if parts.is_absolute():
        return f"{path} (an absolute path)"
    return f"{path} (outside of this folder)" if ".." in parts.parts or str(path)[:1] == "~" else str(path)


def _at(config: Any, where: tuple[str | int, ...]) -> Any:
    for step in where:
        config = config[step]
    return config


def _word(tree: yaml.Node, where: tuple[str | int, ...]) -> tuple[int, int]:
    """Where in the text the value of an entry's mark stands."""
    node = tree
    for step in (*where, KEY):
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = next(value for key, value in node.value if key.value == step)
    return node.start_mark.index, node.end_mark.index
