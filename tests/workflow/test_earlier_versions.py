"""What an earlier version finished is finished: it made the same things, of the same settings and inputs.

The file beside this one is what version 0.1.0 wrote into the manifests of the tiny study.
"""

import json
from pathlib import Path

import pytest

EARLIER = json.loads(Path(__file__).with_name("finished_by_0_1_0.json").read_text())


@pytest.fixture(scope="module")
def now(finished):
    found = {name: json.loads(path.read_text()) for name, path in finished.manifests().items()}
    return {name: made | {"inputs": sorted(made["inputs"])} for name, made in found.items()}


@pytest.mark.parametrize("name", EARLIER)
def test_an_artifact_is_asked_for_as_it_was(now, name):
    """Only where its stage's version was raised may it be made of other things."""
    then = EARLIER[name]
    assert name in now
    assert now[name]["stage"] == then["stage"]
    assert now[name]["version"] >= then["version"]
    if now[name]["version"] == then["version"]:
        assert now[name]["settings"] == then["settings"]
        assert now[name]["inputs"] == then["inputs"]


def test_nothing_else_is_asked_for(now):
    """A config that names nothing new gets nothing new, but for what every study has since."""
    assert now.keys() == EARLIER.keys() | {"explorer.json", "tables/conclusions.json"}
