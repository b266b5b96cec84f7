"""The package stands alone: a wheel of it serves a notebook elsewhere, and brings the workflow along."""

import email
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

from modelkin.errors import ModelkinError
from modelkin.operations import workflow_file as workflow_file_module
from modelkin.study import schema

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BESIDE = ("rules", "report", "profiles", "slurm", "envs")  # what the Snakefile needs beside scripts
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
    for name in ("workflow_scripts", *BESIDE):
        shutil.copytree(ROOT / name, source / name, ignore=nothing_built)
    for name in ("pyproject.toml", "README.md", "LICENSE", "Snakefile"):
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def files_below(folder):
    """The files below a folder that git would keep, by their path in it."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_the_workflow_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    scripts = ROOT / "workflow_scripts"
    package = {f"modelkin/{name}" for name in files_below(scripts / "modelkin")}
    workflow = {"modelkin/workflow/Snakefile"}
    workflow |= {f"modelkin/workflow/workflow_scripts/{path.name}" for path in scripts.glob("*.py")}
    workflow |= {f"modelkin/workflow/{name}/{path}" for name in BESIDE for path in files_below(ROOT / name)}
    assert held == package | workflow
    assert {"modelkin/py.typed", "modelkin/study/config.schema.json"} <= held


@pytest.mark.slow
def test_an_installed_wheel_plans_a_study_in_a_folder_of_its_own(wheel, tmp_path):
    """`modelkin init && modelkin run -n` after `pip install`, but for the libraries."""
    pip("install", "--no-deps", "--target", str(tmp_path / "site"), str(wheel))
    environment = {key: value for key, value in os.environ.items() if key != "MODELKIN_SNAKEFILE"}
    environment |= {"PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"}
    folder = tmp_path / "mine"
    folder.mkdir()

    def modelkin(*arguments):
        done = subprocess.run(
            [sys.executable, tmp_path / "site" / "bin" / "modelkin", *arguments],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    modelkin("init", "--digits")
    planned = modelkin("run", "-n", "--quiet", "rules")
    assert re.search(r"^train +4$", planned, re.MULTILINE), planned
    # And what a job runs is the installed script, which imports the installed package.
    modelkin("run", "config.yaml", "results/mine/dataset.json", "--quiet", "all")
    assert (folder / "results" / "mine" / "dataset.json").is_file()


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


def test_the_workflow_is_looked_for_where_it_can_be(tmp_path, monkeypatch):
    ours = (ROOT / "Snakefile").read_text()

    def snakefile(folder, text):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "Snakefile"
        path.write_text(text)
        return path

    carried, here = snakefile("carried", ours), snakefile("here", "rule all: input: []")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(workflow_file_module, "_carried", lambda: carried)
    monkeypatch.setattr(workflow_file_module, "_of_clone", lambda: None)
    monkeypatch.setenv("MODELKIN_SNAKEFILE", str(tmp_path / "named"))
    with pytest.raises(ModelkinError, match="MODELKIN_SNAKEFILE names .*named, which does not exist"):
        workflow_file_module.workflow_file()
    monkeypatch.delenv("MODELKIN_SNAKEFILE")
    assert workflow_file_module.workflow_file() == carried  # and not somebody else's of this folder
    here.write_text(ours)
    assert workflow_file_module.workflow_file() == here
    here.unlink()
    carried.unlink()
    with pytest.raises(ModelkinError, match="neither in this folder nor installed .*MODELKIN_SNAKEFILE"):
        workflow_file_module.workflow_file()


def test_an_editable_installation_says_where_its_clone_is(tmp_path, monkeypatch):
    class Installed:
        def __init__(self, said):
            self.said = said

        def read_text(self, name):
            assert name == "direct_url.json"
            return self.said

    editable = {"url": f"file://{tmp_path}/a%20b", "dir_info": {"editable": True}}
    for said, path in (
        (json.dumps(editable), tmp_path / "a b" / "Snakefile"),
        (json.dumps(editable | {"dir_info": {}}), None),
        (None, None),
    ):
        monkeypatch.setattr(workflow_file_module.metadata, "distribution", lambda _, s=said: Installed(s))
        assert workflow_file_module._of_clone() == path


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


def test_what_users_install_has_no_tools_of_development():
    needed = {Requirement(text).name for text in PROJECT["dependencies"]}
    tools = {Requirement(text).name for text in PROJECT["optional-dependencies"]["dev"]} - {"modelkin"}
    assert not needed & tools
    assert "robustness" in needed
    assert {"pytest", "ruff", "mypy"} <= tools


def test_the_conda_environment_has_the_pins():
    environment = yaml.safe_load((ROOT / "envs" / "modelkin.yaml").read_text())
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
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
    archived = json.loads((ROOT / ".zenodo.json").read_text())
    assert built == PROJECT["version"] == modelkin.__version__ == citation == archived["version"]
    assert archived["keywords"] == PROJECT["keywords"]
    assert f"## {built.partition('.dev')[0]}" in (ROOT / "CHANGELOG.md").read_text()


def test_editors_find_the_schema_of_every_config():
    for config in [ROOT / "config.yaml", *ROOT.glob("studies/**/*.yaml"), *ROOT.glob("tests/studies/*.yaml")]:
        first, _, named = config.read_text().partition("\n")[0].partition("$schema=")
        assert first == "# yaml-language-server: ", config
        assert (config.parent / named).resolve() == schema.SCHEMA.resolve(), config


def test_where_the_package_is_developed_no_copy_of_it_is_imported():
    found = importlib.util.find_spec("modelkin").origin
    assert Path(found).is_relative_to(ROOT / "workflow_scripts")
