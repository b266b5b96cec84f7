"""A stage is added by what docs/extending.md shows and by nothing else."""

import re
import shutil

import pandas as pd
import pytest
from conftest import ROOT, StudyFolder

from modelkin.operations.stages import VERSIONS

# A path in backquotes, words without one, and the block that follows.
SHOWN = re.compile(
    r"`((?:rules|workflow_scripts)/[\w/.]+)`[^`]*?(?:`[^`]+`[^`]*?)*?:\n\n```python\n(.*?)```", re.S
)
COPIED = ("Snakefile", "rules", "workflow_scripts", "report", "envs", "profiles")


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """A copy of the workflow to which the files that the page shows were added."""
    folder = tmp_path / "workflow"
    folder.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    section = (ROOT / "docs" / "extending.md").read_text().split("\n## A stage\n")[1].split("\n## ")[0]
    shown = dict(SHOWN.findall(section))
    assert len(shown) == section.count("```python") == 4, "a module, a script, a record and a rule"
    for path, code in shown.items():
        target = folder / path
        before = target.read_text() + "\n\n" if target.exists() else ""
        target.write_text(before + code)
    # Scripts run in processes of their own, which are to import this copy's package.
    monkeypatch.setenv("PYTHONPATH", str(folder / "workflow_scripts"))
    return folder


def test_the_stage_of_the_page_is_one(workflow, study):
    assert "margins" not in VERSIONS
    extended = StudyFolder(study.folder, study.config, snakefile=workflow / "Snakefile")
    assert extended.planned() == {"margins": 1, "dictionary": 1, "explorer": 1, "all": 1, "total": 4}
    extended.make()
    tables = study.results / "tables"
    made = pd.read_parquet(tables / "margins.parquet").set_index("model")
    assert list(made.index) == [entry["name"] for entry in study.config["models"]]
    assert (made["n"] == 60).all()
    described = pd.read_parquet(tables / "dictionary.parquet").query("table == 'margins'")
    assert set(described["column"]) == {"model", "margin", "n"}
    plan = extended.make("plan")
    assert re.search(r"^margins +1 +0 ", plan, re.MULTILINE)
    verified = extended.make("verify")
    assert "margins" not in verified, "nothing is wrong with it"
    assert not extended.planned()
