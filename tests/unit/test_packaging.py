"""The package stands alone: built as a wheel and put elsewhere, it serves a notebook without the workflow."""

import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOK = """
import sys

import numpy as np

import modelkin
from modelkin import affinity, compare, invert, spectral

assert modelkin.__file__.startswith(sys.argv[1]), modelkin.__file__
rng = np.random.default_rng(0)
a = rng.normal(size=(50, 8))
assert round(compare("linear_cka", a, 2 * a).value, 6) == 1
blocks = np.kron(np.eye(2), np.ones((3, 3)))
assert spectral(affinity(blocks, "similarity"), clusters=2).labels.tolist() == [0, 0, 0, 1, 1, 1]

import torch


class Linear:
    weights = torch.tensor(rng.normal(size=(12, 3)), dtype=torch.float32)

    def representation(self, images):
        return images.flatten(1) @ self.weights


images = torch.tensor(rng.uniform(size=(4, 3, 2, 2)), dtype=torch.float32)
assert invert(Linear(), images[:2], images[2:]).loss.max() < 0.05

from modelkin.study import config, schema

assert schema.SCHEMA.is_file()
assert "snakemake" not in sys.modules
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # for a build leaves things in the folder that it is made in
    nothing_built = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "workflow_scripts", source / "workflow_scripts", ignore=nothing_built)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    package = ROOT / "workflow_scripts"
    files = [path for path in package.glob("modelkin/**/*") if path.is_file() and path.suffix != ".pyc"]
    assert held == {path.relative_to(package).as_posix() for path in files}
    assert {"modelkin/py.typed", "modelkin/study/config.schema.json"} <= held


@pytest.mark.slow
def test_the_package_serves_a_notebook_without_the_workflow(wheel, tmp_path):
    pip("install", "--no-deps", "--target", str(tmp_path / "site"), str(wheel))
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK, str(tmp_path / "site")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout


def test_commands_say_where_they_need_the_workflow(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "MODELKIN_SNAKEFILE"}
    (tmp_path / "a.yaml").write_text("study: a")
    done = subprocess.run(
        [sys.executable, "-m", "modelkin", "merge", "a.yaml", "a.yaml", "--study", "both"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 1
    assert "MODELKIN_SNAKEFILE" in done.stdout
    assert "Traceback" not in done.stdout


def test_no_file_of_the_package_climbs_out_of_it():
    for file in (ROOT / "workflow_scripts" / "modelkin").rglob("*.py"):
        assert not re.search(r"__file__\)\.(parents|parent\.parent)", file.read_text()), file


def test_pins_fit_the_ranges_and_nothing_else_is_pinned():
    lines = (ROOT / "envs" / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = {pin.name: next(iter(pin.specifier)) for pin in pins}
    assert len(pinned) == len(pins)
    assert all(each.operator == "==" for each in pinned.values())
    extras = PROJECT["optional-dependencies"].values()
    asked = [
        Requirement(text) for text in [*PROJECT["dependencies"], *(t for extra in extras for t in extra)]
    ]
    asked = {each.name: each for each in asked if each.name != PROJECT["name"]}
    assert asked.keys() == pinned.keys()
    for name, requirement in asked.items():
        assert requirement.specifier.contains(pinned[name].version), name


def test_the_conda_environment_has_the_pins():
    environment = yaml.safe_load((ROOT / "envs" / "modelkin.yaml").read_text())
    needed = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["workflow"]
    names = {Requirement(text).name for text in needed}
    lines = (ROOT / "envs" / "constraints.txt").read_text().splitlines()
    assert sorted(environment["dependencies"][-1]["pip"]) == sorted(
        line for line in lines if line.split("==")[0] in names
    )


@pytest.mark.slow
def test_the_version_is_the_same_everywhere(wheel):
    import modelkin

    with zipfile.ZipFile(wheel) as file:
        (metadata,) = (name for name in file.namelist() if name.endswith("/METADATA"))
        built = email.message_from_bytes(file.read(metadata))["Version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert built == PROJECT["version"] == modelkin.__version__ == citation
    assert f"## {built.partition('.dev')[0]}" in (ROOT / "CHANGELOG.md").read_text()
