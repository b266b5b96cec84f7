"""The explorer in a browser: each view by a click, its numbers against the tables; no request leaves it."""

import json
import shutil
import time

import pandas as pd
import pytest
from known_study import models_of, similarity_of, tables_of

from modelkin.analysis import measure_agreement
from modelkin.explorer import answer, page
from modelkin.store import arrays, manifests

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
QUIET = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-size=1400,1000"),
]
pytestmark = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs Chromium and its driver")
EVIL = "<script>alert(1)</script>"
DIRECTIONS = {"linear_cka": "similarity", "symmetrised_kl": "distance"}


class Browser:
    """A page in Chromium, with what tests do on it."""

    def __init__(self, driver, address):
        self.driver, self.address = driver, address

    def open(self, place=""):
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}{place}")
        self.until("return document.body.dataset.ready === 'yes'")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, script):
        for _ in range(100):
            if found := self.run(script):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never so: {script}")

    def click(self, selector):
        self.driver.find_element("css selector", selector).click()

    def choose(self, name, value):
        self.click(f"select[name={name}] option[value='{value}']")

    def press(self, key):
        self.driver.find_element("css selector", "body").send_keys(key)

    def values(self, selector):
        """The numbers behind what is shown, by the other data of their elements."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((each) => ({...each.dataset}))", selector
        )

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def cell(self, row, column):
        """Put the mouse on a cell of the heatmap, and click it."""
        x, y = self.run(
            "const p = document.querySelector('.heatmap'), f = p._fullLayout, r = p.getBoundingClientRect();"
            "return [r.left + f.xaxis._offset + f.xaxis.d2p(arguments[1]),"
            " r.top + f.yaxis._offset + f.yaxis.d2p(arguments[0])]",
            *(row, column),
        )
        mouse = {"button": "left", "clickCount": 1, "x": x, "y": y}
        for what in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": what, **mouse})

    def requests(self):
        """The addresses that the page asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [each for each in events if each["method"] == "Network.requestWillBeSent"]
        return [each["params"]["request"]["url"] for each in asked]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def browser(driver, finished):
    return Browser(driver, (finished.results / "explorer.html").as_uri())


@pytest.fixture(scope="module")
def tables(finished):
    return {path.stem: pd.read_parquet(path) for path in (finished.results / "tables").glob("*.parquet")}


def test_the_first_screen_is_the_answer_and_leads_to_its_evidence(browser, tables):
    browser.open()
    assert browser.run("return performance.timing.domInteractive - performance.timing.navigationStart") < 5000
    weak = tables["models"].loc[tables["models"]["attack_success"].idxmin()]
    assert f"{weak['name']} on {weak['attack_success']:.0%}" in browser.text(".answer")
    browser.click(".answer section:nth-of-type(2) .evidence a")
    browser.until("return document.querySelector('.heatmap')?.dataset.kind === 'natural'")
    assert not [each for each in browser.driver.get_log("browser") if each["level"] == "SEVERE"]


def test_a_cell_of_the_heatmap_has_its_numbers_and_opens_its_pair(browser, tables):
    browser.open("#heatmap?measure=linear_cka&kind=natural&order=config&a=vgg-0&b=mlp-0")
    browser.choose("kind", "inverted")
    browser.until("return document.querySelector('.heatmap').dataset.kind === 'inverted' && window.Plotly")
    rows = tables["similarity"].query("kind == 'inverted' and measure == 'linear_cka'")
    rows = rows.set_index(["model_a", "model_b"])["value"]
    (shown,) = browser.values("#pair-value")
    assert float(shown["value"]) == pytest.approx(rows["vgg-0", "mlp-0"], rel=1e-6)
    browser.press("\ue014")  # the right arrow
    (shown,) = browser.values("#pair-value")
    assert float(shown["value"]) == pytest.approx(rows["vgg-0", "vgg-0.5"], rel=1e-6)
    browser.cell(3, 0)
    assert "a=mlp-0.5&b=vgg-0" in browser.until("return location.hash.startsWith('#pair') && location.hash")


def test_a_pair_has_all_its_numbers_and_images(browser, tables, finished):
    browser.open("#pair?a=vgg-0&b=mlp-0.5")
    shown = browser.values("[data-measure][data-value]")
    rows = tables["similarity"].set_index(["measure", "kind", "model_a", "model_b"])["value"]
    for each in shown:
        source = each["source"]
        pair = (source, *({"vgg-0", "mlp-0.5"} - {source}))
        key = (
            each["measure"],
            each["kind"],
            *(pair if (each["measure"], each["kind"], *pair) in rows else pair[::-1]),
        )
        assert float(each["value"]) == pytest.approx(rows[key], rel=1e-6, nan_ok=True)
    both = tables["similarity"].query("model_a in ['vgg-0', 'mlp-0.5'] and model_b in ['vgg-0', 'mlp-0.5']")
    assert len(shown) == len(both.query("model_a != model_b")) > 8
    answers = [
        arrays.open_dataset(manifests.store_of(finished.results / f"activations/natural/{name}.json"))[
            "logits"
        ]
        for name in ("vgg-0", "mlp-0.5")
    ]
    differ = (answers[0].to_numpy().argmax(1) != answers[1].to_numpy().argmax(1)).sum()
    assert browser.values("#disagreement") == [{"count": str(differ)}]
    assert browser.run("return document.querySelectorAll('.gallery [role=img]').length") > 40


def test_a_model_has_its_card_and_its_inversion(browser, tables):
    browser.open()
    browser.click("#views a[data-view=model]")
    browser.until("return document.querySelector('select[name=name]')")
    browser.choose("name", "mlp-0.5")
    row = tables["models"].set_index("name").loc["mlp-0.5"]
    assert float(browser.values("#card")[0]["accuracy"]) == pytest.approx(row["clean_accuracy"])
    losses = [float(each["value"]) for each in browser.values("section:last-of-type td.number [data-value]")]
    assert losses == pytest.approx([row["inversion_median_loss"]])


def test_a_table_is_sorted_filtered_and_saved(browser, tables, tmp_path):
    browser.open("#tables?table=similarity")
    browser.click("th[data-sort=value]")
    cells = "[...document.querySelectorAll('.table-frame tbody tr')].map((row) => row.cells[arguments[0]])"
    shown = browser.run(
        f"return {cells}.map((cell) => Number(cell.dataset.value))", list(tables["similarity"]).index("value")
    )
    expected = tables["similarity"]["value"].dropna().sort_values()[: len(shown)]
    assert shown == pytest.approx(list(expected), rel=1e-6)
    assert "value of the measure" in browser.run("return document.querySelector('th[data-sort=value]').title")
    browser.driver.find_element("css selector", "input[name=filter]").send_keys("inverted saliency")
    counted = "return location.hash.includes('filter=') && document.querySelector('#table-count').textContent"
    assert browser.until(counted).startswith("0 of")
    browser.open("#tables?table=similarity&filter=inverted%20linear")
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.click("#csv")
    saved = tmp_path / "similarity.csv"
    for _ in range(100):
        if saved.exists():
            break
        time.sleep(0.05)
    expected = (
        tables["similarity"].query("kind == 'inverted' and measure == 'linear_cka'").reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(pd.read_csv(saved), expected, check_dtype=False, rtol=1e-6)


def test_measures_are_compared_by_their_ranks(browser, tables):
    browser.open("#measures?kind=natural&x=linear_cka&y=agreement")
    directions = dict(tables["measures"][["measure", "direction"]].itertuples(index=False))
    rows = measure_agreement.measure_agreement(tables["similarity"], tables["models"], directions)
    (row,) = rows.query("kind == 'natural' and measure == 'linear_cka' and other == 'agreement'").itertuples()
    assert float(browser.values("#agreement-value")[0]["value"]) == pytest.approx(row.spearman, rel=1e-6)
    assert browser.run("return document.querySelectorAll('#agreement .heatmaplayer .hm').length") == 1


def test_an_address_is_a_state_and_keys_move_in_it(browser):
    browser.open("#heatmap?measure=agreement&kind=natural&order=name")
    assert browser.run("return document.querySelector('.heatmap').dataset.measure") == "agreement"
    browser.press("m")
    assert browser.run("return document.querySelector('.heatmap').dataset.measure") == "saliency_cosine"
    browser.press("3")
    browser.until("return document.body.dataset.view === 'pair'")
    before = browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.press("d")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") != before


@pytest.mark.parametrize("view", ["answer", "heatmap", "pair", "model", "measures", "tables"])
def test_it_fits_a_phone(browser, view):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    browser.open(f"#{view}")
    width = browser.run("return document.documentElement.scrollWidth")
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width == 390


def test_names_from_outside_are_text_and_nothing_is_asked_of_anybody(driver, tmp_path):
    """Of a study with groups, in which everything that has a name tries to run."""
    models = models_of(6).assign(architecture=EVIL)
    names = [f"{EVIL}{place}" for place in range(6)]
    models["name"] = names
    models["same_weights_as"] = [None] * 5 + names[:1]
    similarity = similarity_of(models, lambda kind, a, b: 0.3, noise=0.1)
    clusters = [
        {
            "measure": "linear_cka",
            "kind": "natural",
            "model": name,
            "cluster": place % 2,
            "x": place,
            "y": -place,
        }
        for place, name in enumerate(names)
    ]
    stability = {"measure": "linear_cka", "kind": "natural", "clusters": 2, "ari_models_mean": 0.625}
    made = tables_of(
        models,
        similarity,
        measure_agreement=measure_agreement.measure_agreement(similarity, models, DIRECTIONS),
        clusters=pd.DataFrame(clusters),
        components=pd.DataFrame(
            {"model": names, "__proto__": EVIL, "constructor": ["a", "b"] * 3, EVIL: names}
        ),
        dictionary=pd.DataFrame(
            [{"table": "components", "column": "model", "unit": EVIL, "meaning": "the model's name"}]
        ),
        cluster_stability=pd.DataFrame(
            [stability | {"ari_models_sd": 0.1, "ari_architecture": 0.0, "ari_level": 0.0}]
        ),
    )
    file = tmp_path / "evil.html"
    file.write_text(page(EVIL, made, orders={}), "utf-8")
    browser = Browser(driver, file.as_uri())
    driver.get_log("performance")
    browser.open()
    assert EVIL in browser.text("h1") + browser.text(".answer")
    browser.click("#views a[data-view=clusters]")
    browser.until("return document.querySelectorAll('#embedding .points path').length === 6")
    assert float(browser.values("#stability")[0]["value"]) == 0.625
    assert [each["members"] for each in browser.values(".cluster")] == ["3", "3"]
    assert EVIL in browser.text("#embedding") + browser.text("#members")
    for view in ("heatmap", "pair", "model", "measures", "tables"):
        browser.open(f"#{view}")
        assert EVIL in browser.text("#view-other"), view
        if view == "measures":
            assert f"Without {names[5]}: copies" in browser.text(".lead"), "a copy is no other model"
            assert browser.values("#agreement-value")[0]["pairs"] == "10"
    browser.open("#tables?table=components")
    heads = browser.run(
        "return [...document.querySelectorAll('th[data-sort]')].map((each) => each.dataset.sort)"
    )
    assert heads == ["model", "__proto__", "constructor", EVIL]
    asked = browser.run("return fetch('https://example.org').then(() => 'answered', () => 'refused')")
    assert asked == "refused"
    assert {url.split(":")[0] for url in browser.requests()} <= {"file", "data", "about", "blob"}


def test_every_sentence_of_the_answer_is_on_the_page(browser, tables):
    browser.open()
    shown = browser.text(".answer")
    from_tables = answer.answer({**tables, **levels_of(tables)})
    assert len(from_tables) > 5
    for sentence in from_tables:
        assert sentence.text in shown


def levels_of(tables):
    similarity, models = tables["similarity"], tables["models"]
    return {key: tables_of(models, similarity)[key] for key in ("level_means", "level_differences")}
