"""YAML that a stranger wrote: an error of YAML's own whatever it is, and no time without an end."""

import pytest
import yaml

from modelkin.errors import ModelkinError
from modelkin.study import untrusted, yaml_text
from modelkin.study.config import load_config
from modelkin.study.yaml_text import LoaderWithoutAliases, read_yaml

WRONG = {
    "a truth that is none": "a: !!bool maybe",
    "a number of nothing": "a: !!int ''",
    "a number of signs": "a: !!float '_'",
    "a number of text": "a: !!int x",
    "a number too large": f"a: {'1:' * 300}1.5",
    "a time that is none": "a: !!timestamp x",
    "a date that is none": "a: 2026-99-99",
    "a digit too many": f"a: 0x{'f' * 5000}",
    "brackets without an end": "[" * 10**4,
    "braces without an end": "{a: " * 10**4,
    "dashes without an end": "- " * 10**4,
    "code": "a: !!python/object/apply:os.system [ls]",
}


@pytest.mark.parametrize("what", WRONG)
def test_it_ends_in_one_sentence_wherever_it_is_read(what, tmp_path):
    with pytest.raises(yaml.YAMLError):
        read_yaml(WRONG[what])
    (tmp_path / "x.yaml").write_text(WRONG[what])
    with pytest.raises(ModelkinError, match="is not valid YAML: [^\n]+$"):
        load_config(tmp_path / "x.yaml")
    with pytest.raises(ModelkinError, match="is not valid YAML: [^\n]+$"):
        untrusted.trust_entries(WRONG[what], ["a"])


def test_bounds_are_where_they_are_said_to_be():
    deep = "[" * yaml_text.DEEPEST
    assert read_yaml(deep + "]" * yaml_text.DEEPEST)
    with pytest.raises(yaml.YAMLError, match="nested more than 50 deep"):
        read_yaml(f"[{deep}{']' * yaml_text.DEEPEST}]")
    assert read_yaml("[[], [[]], {a: [b]}]") == [[], [[]], {"a": ["b"]}]
    assert len(read_yaml(f"[{'[[]], ' * 100}]")) == 100, "what stands beside each other is not nested"
    assert len(read_yaml("a" * yaml_text.LONGEST)) == yaml_text.LONGEST
    with pytest.raises(yaml.YAMLError, match="more than 2048 characters"):
        read_yaml("a" * (yaml_text.LONGEST + 1))
    repr(read_yaml(f"0x{'f' * (yaml_text.LONGEST - 2)}"))  # the largest whole number can be written


def test_what_is_wrong_is_told_shortly():
    with pytest.raises(yaml.YAMLError) as caught:
        read_yaml(f"a: !!int {'x' * 2000}")
    assert len(str(caught.value)) == 200


def test_aliases_are_for_ones_own_configs():
    text = "a: &a [1]\nb: *a\n"
    assert read_yaml(text) == {"a": [1], "b": [1]}
    with pytest.raises(yaml.YAMLError, match="it has aliases"):
        read_yaml(text, LoaderWithoutAliases)
    assert read_yaml("a: &a [1]\n", LoaderWithoutAliases) == {"a": [1]}
    assert isinstance(read_yaml("a: &a [*a]\n")["a"], list), "one that holds itself has an end"
