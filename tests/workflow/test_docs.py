"""The examples of the documentation run as they stand."""

import re
import sys

import jupytext
import matplotlib.pyplot as plt
import pytest
from conftest import ROOT

from modelkin.comparison import measures

PAGES = ["README.md", "docs/package.md", "docs/sharing.md"]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(finished, page, monkeypatch, capsys):
    monkeypatch.chdir(finished.folder)
    text = (ROOT / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        ours = block.replace("results/digits", "results/tiny").replace("config.yaml", finished.configfile)
        exec(compile(ours, page, "exec"), names)
    assert capsys.readouterr().out


def test_the_notebook_on_a_finished_study_runs(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    plt.switch_backend("agg")
    text = (ROOT / "docs" / "notebooks" / "finished_study.py").read_text()
    assert any(cell.cell_type == "markdown" for cell in jupytext.reads(text, "py:percent").cells)
    names = {}
    exec(compile(text.replace("results/digits", "results/tiny"), "finished_study.py", "exec"), names)
    assert len(names["inverted"]) == 4 * 3
    assert names["inverted"]["value"].is_monotonic_decreasing
    assert names["matrix"].shape == (4, 4)


def test_the_example_of_a_measure_is_one(tmp_path, monkeypatch):
    from modelkin import compare

    text = (ROOT / "docs" / "extending.md").read_text()
    (tmp_path / "mean_difference.py").write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(tmp_path)])
    assert "mean_difference" in measures.names()
    assert compare("mean_difference", [[0.0, 0], [1, 1]], [[1.0, 1], [1, 1]]).value == 0.5
    sys.modules.pop("modelkin.comparison.measures.mean_difference")


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "results" / "README.md"]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)
