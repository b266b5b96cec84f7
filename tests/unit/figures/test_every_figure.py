"""What all figures say of themselves; tests/workflow/test_every_figure.py draws them."""

import re

import contracts
import pytest
from conftest import ROOT, TINY

from modelkin import figures
from modelkin.comparison import measures
from modelkin.figures.base import Figure
from modelkin.operations.data_dictionary import COLUMNS
from modelkin.study.config import Study

SECTIONS = re.findall(r'^    "(\w+)": "\d+ ', (ROOT / "rules" / "figures.smk").read_text(), re.MULTILINE)
KNOWN = {
    "sections": SECTIONS,
    "tables": COLUMNS,
    "settings": Study(TINY).section("figures"),
    "measures": measures.names(),
}


def draw(data, settings):
    """Nothing."""


def test_a_module_is_a_figure():
    contracts.check_registered(figures, figures.names())
    assert len(SECTIONS) > 5
    captions = {path.stem for path in (ROOT / "report").glob("*.rst")} - {"workflow", "explorer"}
    assert captions == set(figures.names()), "a caption for every figure, for the page, and no other"


@pytest.mark.parametrize("name", figures.names())
def test_every_figure_says_what_it_needs(name):
    figure = figures.get(name)
    contracts.check_figure_described(figure, **KNOWN)
    contracts.check_documented(figure.draw)
    assert len((ROOT / "report" / f"{name}.rst").read_text().split()) > 10, "the caption says what is seen"


# the checks themselves

GOOD = {
    "title": "Nothing",
    "question": "Is there anything?",
    "section": "models",
    "tables": ("models",),
    "draw": draw,
}
WRONG = {
    "no title": {"title": ""},
    "no question": {"question": "What is there."},
    "no such section": {"section": "appendix"},
    "no such table": {"tables": ("model",)},
    "no such setting": {"settings": ("colour",)},
    "no such measure": {"measure": "liner_cka"},
    "draws without a label": {"per_measure": True},
}


def test_the_figure_from_which_the_wrong_ones_are_made_is_good():
    contracts.check_figure_described(Figure(**GOOD), **KNOWN)


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_figure_is_found(what):
    with pytest.raises(AssertionError):
        contracts.check_figure_described(Figure(**GOOD | WRONG[what]), **KNOWN)
