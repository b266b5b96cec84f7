"""Tables that people read: what stands in the page and the CSV, and what a click on a heading does."""

import io
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from modelkin import figures
from modelkin.figures import base
from modelkin.figures.table_page import TablePage

MODELS = pd.DataFrame({"name": ["a", "b"], "at_chance": [False, True]})
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def table(**more):
    text = pd.DataFrame(
        {"model": ["b", "a", "<script>c"], "value": ["9.0", "10.0", "-"], "said": ["x", "y\nz", "x"]}
    )
    headings = {"model": "model", "value": "value\n(percent)", "said": "said"}
    return TablePage("A & B", text, headings, values={"value": [9.04, 10.0, np.nan]}, **more)


def test_a_page_shows_every_cell_and_runs_nothing_of_them():
    page = table(note="first.\n<b>second.").page("x", above="\N{DAGGER} <b>")
    assert page.count("<script>") == 1
    assert "&lt;script&gt;c" in page
    assert "<td>y\nz</td>" in page
    assert "<h1>A &amp; B</h1>" in page
    assert "<p>first.</p><p>&lt;b&gt;second.</p>" in page
    assert '<p class="above">\N{DAGGER} &lt;b&gt;</p>' in page
    assert re.findall(r'data-value="(.*?)"', page) == ["9.04", "10.0", ""]
    assert "default-src 'none'" in page
    assert 'class="above"' not in table().page("x")


def test_the_csv_holds_the_numbers_that_stand_for_texts_or_the_rows_themselves():
    made = pd.read_csv(io.StringIO(table().csv()))
    assert made["value"].tolist()[:2] == [9.04, 10.0]
    assert np.isnan(made["value"][2])
    rows = pd.DataFrame({"a": [1 / 3], "=b": ["=1+1"], "c": [-1.5]})
    assert table(rows=rows).csv() == "a,'=b,c\n0.3333333333333333,'=1+1,-1.5\n"


def test_a_table_without_rows_says_why(tmp_path):
    figure = figures.get("keywords")
    clusters = pd.DataFrame(columns=["measure", "kind", "model", "cluster"])
    drawn = base.draw_measure(figure, {"models": MODELS, "clusters": clusters}, {}, "linear_cka")
    page = drawn.page("x")
    assert "no clusters: too few models have a value: 0" in page
    assert '<body class="words">' in page
    drawn.save(tmp_path, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]
    assert '<body class="table">' in table().page("x")


def test_tables_are_saved_as_pages_with_the_models_at_chance(tmp_path):
    base.save(table(), tmp_path, "x", 50, MODELS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.html"]
    assert "accuracy at chance level: b\N{DAGGER}" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_which_figures_are_tables():
    tables = {name for name in figures.names() if figures.get(name).as_table}
    assert tables == {
        *("cards", "components", "keywords", "recommendations", "stitching_replaceable", "teachers")
    }
    assert {figures.get(name).suffix for name in tables} == {".html"}
    assert figures.get("heatmaps").suffix == ".png"


@pytest.fixture(scope="module")
def driver():
    if not CHROMIUM or not shutil.which("chromedriver"):
        pytest.skip("needs Chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield made
    made.quit()


def test_rows_are_sorted_by_numbers_and_filtered_by_words(driver, tmp_path):
    from selenium.webdriver.common.by import By

    table().save(tmp_path, "x")
    driver.get((tmp_path / "x.html").as_uri())

    def shown():
        rows = driver.find_elements(By.CSS_SELECTOR, "tbody tr")
        return [row.find_element(By.TAG_NAME, "td").text for row in rows if row.is_displayed()]

    by_model, by_value, _ = driver.find_elements(By.CSS_SELECTOR, "th button")
    by_model.click()
    assert shown() == ["<script>c", "a", "b"]
    by_value.click()
    assert shown() == ["b", "a", "<script>c"]  # nine before ten, and what has no value last
    by_value.click()
    assert shown() == ["a", "b", "<script>c"]
    assert driver.find_element(By.CSS_SELECTOR, "th[aria-sort=descending]").text.startswith("value")
    driver.find_element(By.TAG_NAME, "input").send_keys("X b")
    assert shown() == ["b"]
