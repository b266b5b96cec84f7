"""The report in a real browser: its story, its sections and its figures are there."""

import re
import shutil
import subprocess
from unittest.mock import Mock

import pytest
from conftest import ROOT
from docutils.core import publish_parts
from jinja2 import Environment

SECTIONS = [
    "01 Models",
    "02 Inversion",
    "03 Similarity by level",
    "04 Similarity of every pair",
    "05 Clusters",
    "06 What makes models alike",
    "07 Ensembles",
    "08 Distillation and advice",
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
    pages = [*(finished.results / "figures").rglob("*.html")]
    assert {"cards", "recommendations"} <= {table.stem for table in pages}
    for picture in [*(finished.results / "figures").rglob("*.png"), *pages]:
        assert page.count(picture.relative_to(finished.folder).as_posix()) >= 1, picture
    for sentence in ("The error reduction rate says", "the row's model is the one that the images were made"):
        assert sentence in re.sub(r"\s+|\\n", " ", page)


def test_the_story_goes_through_every_section():
    story = (ROOT / "report" / "workflow.rst").read_text()
    told = [
        f"{int(number):02} {name}" for number, name in re.findall(r"^(\d+)\. \*(.+?)\*:", story, re.MULTILINE)
    ]
    assert told == [*SECTIONS, "09 Layer by layer", "10 Stitching"]
    assert told == sorted(told), "the report sorts its sections as text"


def test_what_captions_take_of_a_config_is_plain_letters():
    """Snakemake makes HTML of captions; these names may be of letters alone (tests/unit/study)."""
    texts = [path.read_text() for path in (ROOT / "report").glob("*.rst")]
    said = {each.strip() for text in texts for each in re.findall("{{(.*?)}}", text, re.DOTALL)}
    numbers = {each for each in said if each.endswith("| length")}
    assert said - numbers == {
        'snakemake.config["study"]',
        'snakemake.config["dataset"]["label"] or snakemake.config["dataset"]["name"]',
        'snakemake.config["adversarial"] | map(attribute="label") | join(", ")',
    }


@pytest.mark.parametrize("sections", [(), ("layers",), ("stitching",), ("layers", "stitching")])
def test_the_story_is_a_list_whatever_a_study_has(sections):
    config = {"study": "digits", "models": [], "measures": [], "dataset": {"name": "digits"}}
    config |= dict.fromkeys(("adversarial", *sections), {})
    made = Mock(config=config)
    # As Snakemake makes it.
    story = Environment(trim_blocks=True, lstrip_blocks=True).from_string(
        (ROOT / "report" / "workflow.rst").read_text()
    )
    page = publish_parts(story.render(snakemake=made), writer="html5")["body"]
    assert "system-message" not in page
    assert page.count("<li>") == 8 + len(sections)


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
