"""A default stands once: in the schema, or with the mode of inversion or the attack that it belongs to."""

import inspect
import json
import re
from fractions import Fraction

import pytest
from conftest import ROOT

from modelkin.optimise import attacks, inversion, inversion_modes
from modelkin.study import schema
from modelkin.study.config import TRAINING_DEFAULTS

SCHEMA = json.loads(schema.SCHEMA.read_text())
# Sections whose keys stand apart in the schema.
PARTS = {"training": SCHEMA["$defs"]["training"], "adversarial": SCHEMA["$defs"]["attack"]}
# Sections of the config with a choice that decides the defaults of other keys.
CHOICES = {"inversion": ("mode", inversion_modes.DEFAULTS), "adversarial": ("attack", attacks.defaults())}
PAGE = (ROOT / "docs" / "config.md").read_text()
NONE = {"none", "null", "-", "as many as memory allows"}


def tables(section: str) -> list[tuple[list[str], dict[str, list[str]]]]:
    """The tables of a section of docs/config.md: header cells, and the last cells of each key's row."""
    text = re.search(rf"^## (?:`boundaries` and )?`{section}`.*?\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines())
        values = {}
        for first, _, *cells in rows:
            keys = re.findall(r"`(\w+)`", first)
            parts = [
                re.split(r", (?![^\[]*\])", cell) if len(keys) > 1 and cell != "-" else [cell] * len(keys)
                for cell in cells
            ]
            values |= {key: [part[place] for part in parts] for place, key in enumerate(keys)}
        found.append((header[2:], values))
    return found


def is_same(shown: str, value: object) -> bool:
    """Whether a cell of the page shows this default."""
    if isinstance(value, list):
        cells = shown.strip("[]").split(", ")
        return len(cells) == len(value) and all(map(is_same, cells, value))
    if not value and not isinstance(value, int | float):
        return shown in NONE
    if isinstance(value, str | bool):
        return shown == str(value).lower()
    return abs(float(Fraction(shown)) - value) <= 1e-4 * abs(value)


def keys_of(section: str) -> dict[str, dict]:
    """What the schema says of each key of a section."""
    part = {"training": "training", "adversarial": "attack"}.get(section)
    return (SCHEMA["$defs"][part] if part else SCHEMA["properties"][section])["properties"]


@pytest.mark.parametrize("section", CHOICES)
def test_the_schema_has_no_default_where_a_choice_decides(section):
    by, choices = CHOICES[section]
    keys = keys_of(section)
    assert sorted(keys[by]["enum"]) == sorted(choices)
    for key in {key for settings in choices.values() for key in settings}:
        assert "default" not in keys[key], key


@pytest.mark.parametrize("section", CHOICES)
def test_the_page_shows_the_defaults_of_each_choice(section):
    _, choices = CHOICES[section]
    header, values = next(table for table in tables(section) if table[0][0] in choices)
    assert sorted(header) == sorted(choices)
    for place, choice in enumerate(header):
        shown = {key: cells[place] for key, cells in values.items()}
        assert {key for key in shown if key in choices[choice]} == set(choices[choice])
        for key, cell in shown.items():
            assert is_same(cell, choices[choice].get(key)), (choice, key)


@pytest.mark.parametrize(
    "section", ["training", "inversion", "adversarial", "draws", "distillation", "figures"]
)
def test_the_page_shows_the_defaults_of_the_schema(section):
    # The boundaries' table stands in the section about draws.
    name = "boundaries" if section == "draws" else section
    optional = TRAINING_DEFAULTS if name == "training" else {}
    table = next(values for header, values in tables(section) if header == ["default"])
    for key, (shown,) in table.items():
        default = optional.get(key, keys_of(name)[key].get("default"))
        assert shown == "" if default is None and shown not in NONE else is_same(shown, default), key
    assert len(table) > 2


def test_functions_take_the_defaults_from_where_they_stand():
    for mode, settings in inversion_modes.DEFAULTS.items():
        taken = inspect.signature(inversion.MODES[mode]).parameters
        assert {key: parameter.default for key, parameter in taken.items()} == settings
    for name in attacks.names():
        taken = inspect.signature(attacks.get(name).attack).parameters
        restated = {
            key for key, parameter in taken.items() if parameter.default is not inspect.Parameter.empty
        }
        assert not restated, f"{name}: attacks.from_settings gives {restated}"


def test_an_attack_that_is_asked_for_by_name_alone_has_its_defaults():
    for name in attacks.names():
        threat = attacks.get(name).THREATS[0]
        assert callable(attacks.from_settings(name, threat, 0.1)), name
        assert attacks.passes_per_image(name) == attacks.passes_per_image(name, **attacks.get(name).DEFAULTS)
