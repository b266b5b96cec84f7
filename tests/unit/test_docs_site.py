"""The documentation's site builds without a warning, and its generated pages have all that there is."""

import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys

import jupytext
import pytest
from conftest import ROOT

from modelkin import figures
from modelkin.study import config

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("generated_pages", DOCS / "generated_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(source, folder):
    """Read all pages and resolve all links, as make docs does before it writes them."""
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "dummy",
        "-q",
        "-W",
        "--keep-going",
        str(source),
        str(folder),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    done = build(DOCS, tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]


def test_every_key_of_the_config_is_in_the_reference(pages):
    schema = json.loads((ROOT / "workflow_scripts/modelkin/study/config.schema.json").read_text())
    page = pages.config_reference(schema)

    def keys(value):
        if isinstance(value, dict):
            yield from value["properties"] if isinstance(value.get("properties"), dict) else ()
            for inner in value.values():
                yield from keys(inner)

    sections = set(schema["properties"])
    assert sections <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    for name in ("probes", "inversion", "layers", "stitching"):
        inner = schema["properties"][name]["properties"]
        listed = page.split(f"\n## `{name}`\n")[1].split("\n## ")[0]
        assert set(inner) <= set(re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE))
    assert "| `natural` |  | integer, at least 4 | `500` |" in page
    assert len(set(keys(schema))) > 100
    assert all(
        len(line.replace("\\|", "").split("|")) == 6 for line in page.splitlines() if line.startswith("| ")
    )


def test_every_figure_is_in_the_gallery_with_its_question(pages, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "robustness.png").write_bytes(b"picture")
    page = pages.gallery(tmp_path / "made", tmp_path / "shown")
    for name in figures.names():
        assert f"**{figures.get(name).question}**" in page
        assert f"`{name}`, from the tables" in page
    assert (tmp_path / "shown" / "robustness.png").read_bytes() == b"picture"
    assert page.count("![") == 1
    (tmp_path / "made" / "cards").mkdir()
    (tmp_path / "made" / "cards" / "cards.html").write_text('<p title="x">a</p>')
    shown = pages.gallery(tmp_path / "made", tmp_path / "shown")
    assert 'srcdoc="&lt;p title=&quot;x&quot;&gt;a&lt;/p&gt;"></iframe>' in shown
    assert "not finished" not in page
    assert "not finished" in pages.gallery(tmp_path / "nothing", tmp_path / "shown")
    assert not (tmp_path / "shown").exists()


def test_the_live_explorer_is_shown_only_where_the_study_is_finished(pages, tmp_path):
    root = tmp_path / "root"
    (root / "workflow_scripts/modelkin/study").mkdir(parents=True)
    (root / "workflow_scripts/modelkin/study/config.schema.json").write_text(
        '{"properties": {}, "$defs": {}}'
    )
    pages.write(tmp_path / "generated", root)
    assert "make run" in (tmp_path / "generated" / "live.md").read_text()
    (root / "results" / "digits").mkdir(parents=True)
    (root / "results" / "digits" / "explorer.html").write_text("the explorer")
    pages.write(tmp_path / "generated", root)
    assert 'href="../explorer.html"' in (tmp_path / "generated" / "live.md").read_text()
    assert (tmp_path / "generated" / "explorer" / "explorer.html").read_text() == "the explorer"


def test_the_notebook_on_arrays_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (DOCS / "notebooks" / "own_arrays.py").read_text()
    kinds = [cell.cell_type for cell in jupytext.reads(text, "py:percent").cells]
    assert kinds.count("markdown") > 4
    names = {}
    exec(compile(text, "own_arrays.py", "exec"), names)
    # Every measure finds the task in what was learned, and nothing is as alike as that by chance.
    assert names["right"].all()
    sign, table = names["sign"], names["table"]
    assert (sign * table["another start"] > sign * table["chance"]).all()


def blocks(page):
    """The tutorial's files, by path, its commands, and its other Python."""
    text = (DOCS / page).read_text()
    found = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    files = {m[1]: body for _, body in found if (m := re.match(r"# (two/\S+)\n", body))}
    commands = [line for kind, body in found if not kind for line in body.splitlines()]
    return (
        files,
        commands,
        [body for kind, body in found if kind == "python" and not body.startswith("# two/")],
    )


@pytest.fixture
def tutorial(tmp_path, monkeypatch):
    """A folder with the tutorial's files in it, and what else the page holds."""
    files, commands, python = blocks("tutorial.md")
    assert len(files) == 3
    for name, body in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(body)
    monkeypatch.chdir(tmp_path)
    return tmp_path, commands, python


def test_the_tutorial_makes_two_checkpoints_and_a_study_of_them(tutorial, monkeypatch, capsys):
    folder, commands, _ = tutorial
    assert "python two/train.py" in commands
    monkeypatch.syspath_prepend(str(folder / "two"))  # as python two/train.py has it
    runpy.run_path("two/train.py")
    sys.modules.pop("nets")
    assert all(float(line.split()[1]) > 0.9 for line in capsys.readouterr().out.splitlines())
    study = config.read_study("two/study.yaml")
    assert study.names == ["convolutional", "perceptron"]


@pytest.mark.slow
@pytest.mark.skipif("MODELKIN_TUTORIAL" not in os.environ, reason="takes minutes: MODELKIN_TUTORIAL=1")
def test_the_tutorial_as_typed(tutorial):
    folder, commands, python = tutorial
    for command in commands:
        program, *rest = command.split()
        if "webbrowser" in rest:
            continue
        if program == "snakemake":
            rest = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *rest]
        done = subprocess.run([sys.executable, *rest], capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-3000:])
    assert (folder / "results" / "two" / "explorer.html").exists()
    for body in python:
        exec(compile(body, "tutorial.md", "exec"), {})
