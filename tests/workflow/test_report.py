"""The report in a real browser: its story, its sections and its figures are there."""

import re
import shutil
import subprocess

import pytest
from conftest import ROOT

SECTIONS = [
    "1 Models",
    "2 Inversion",
    "3 Similarity by level",
    "4 Similarity of every pair",
    "5 Clusters",
    "6 What makes models alike",
    "7 Ensembles",
    "8 Distillation and advice",
]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def report(finished):
    done = finished.run("--report", "report.html")
    assert done.returncode == 0, done.stdout
    return finished.folder / "report.html"


def test_every_figure_is_in_the_report_with_its_caption(finished, report):
    page = report.read_text()
    for picture in (finished.results / "figures").rglob("*.png"):
        assert page.count(picture.relative_to(finished.folder).as_posix()) >= 1, picture
    for sentence in ("The error reduction rate says", "the row's model is the one that the images were made"):
        assert sentence in re.sub(r"\s+|\\n", " ", page)


def test_the_story_goes_through_every_section():
    story = (ROOT / "report" / "workflow.rst").read_text()
    told = [" ".join(found) for found in re.findall(r"^(\d+)\. \*(.+?)\*:", story, re.MULTILINE)]
    assert told == [*SECTIONS, "9 Layer by layer", "10 Stitching"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_report_opens_in_a_browser(report, tmp_path):
    arguments = [*QUIET, f"--user-data-dir={tmp_path}", "--virtual-time-budget=10000", "--dump-dom"]
    done = subprocess.run(
        [CHROMIUM, *arguments, report.as_uri()], capture_output=True, text=True, timeout=120
    )
    # What the scripts have put on the page, and not what they consist of.
    shown = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert "Which of these models have learned the same thing?" in shown
    places = [shown.index(section) for section in SECTIONS]
    assert places == sorted(places)
