"""The versions of libraries stand once."""

import tomllib

import yaml
from conftest import ROOT


def test_conda_environment_has_the_pins_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "envs" / "modelkin.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == project["dependencies"]
    assert all("==" in pin for pin in project["dependencies"] + project["optional-dependencies"]["dev"])
