"""A published matrix and a table of components make a study: no dataset, no weights, no image."""

import json
import re
import shutil
import zipfile

import pandas as pd
import pytest
from conftest import ROOT, StudyFolder
from planted import EVIL, published

from modelkin import figures
from modelkin.figures import base
from modelkin.operations.data_dictionary import COLUMNS
from modelkin.study.config import read_study

TABLES = {
    *("models", "components", "similarity", "summary", "relations"),
    *("conclusions", "clusters", "cluster_stability", "spectra", "spectral_features"),
    *("component_importance", "component_scores", "component_keywords"),
    *("dictionary", "measures"),
}
FIGURES = {
    *("components", "embedding", "heatmaps", "importance", "keywords"),
    *("relations", "spectral_distances", "t_sne"),
}
OF_LEVELS = {"levels", "robustness"}
LABEL = "imported_similarity.sat"


def tables(study):
    return {path.stem: pd.read_parquet(path) for path in (study.results / "tables").glob("*.parquet")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    study = StudyFolder(folder, published(folder, 12))
    study.said = study.make("--verbose")
    return study


def test_there_is_what_can_be_known_and_nothing_else(whole):
    assert {path.name for path in whole.results.iterdir()} == {
        *("benchmarks", "explorer.html", "explorer.json", "figures", "imported", "logs", "tables")
    }
    assert tables(whole).keys() == TABLES
    assert {path.stem for path in (whole.results / "figures").glob("*.json")} == FIGURES
    assert "Nothing to be done" in whole.run("--dry-run").stdout


def test_snakemake_looks_at_what_is_ready_when_a_job_has_ended(whole):
    looks, ends = (whole.said.count(f"\n{text}") for text in ("Ready jobs: ", "Finished jobid: "))
    assert 0 < looks <= ends + 1, "it looks again by the clock, more often the more jobs have ended"


def test_the_planted_clusters_and_what_stands_for_them_are_found(whole):
    found = tables(whole)
    families = (
        found["clusters"].groupby("cluster")["model"].agg(lambda names: {n.split("-")[0] for n in names})
    )
    assert sorted(map(sorted, families)) == [["cnn"], ["mlp"], ["transformer"]]
    first = found["component_keywords"].query("rank == 1")["keyword"]
    assert sorted(first) == ["base family: CNN", "base family: MLP", "base family: Transformer"]
    important = found["component_importance"].iloc[0]
    assert important["component"] == "base_family"
    assert important["importance"] > 1
    assert found["component_scores"]["pairs"].tolist() == [66]


def test_what_nobody_knows_is_missing(whole):
    found = tables(whole)
    models = found["models"]
    assert set(models["source"]) == {"none"}
    assert set(models["architecture"]) == {""}
    assert models[["parameters", "clean_accuracy", "at_chance", "inversion_failed"]].isna().all(axis=None)
    assert set(found["relations"]["relation"]) == {"architecture"}, "nobody says that two are of one"
    stable = found["cluster_stability"].iloc[0]
    assert stable["ari_models_mean"] > 0.9
    assert stable[["ari_samples_mean", "ari_architecture"]].isna().all()


def test_the_dictionary_lists_what_is_there(whole):
    found = tables(whole)
    described = found["dictionary"].groupby("table")["column"].agg(set).to_dict()
    assert described.keys() == TABLES
    for name in TABLES - {"components"}:
        assert described[name] == set(found[name].columns) == set(COLUMNS[name]), name


def test_it_is_verified_reported_and_bundled(whole, tmp_path):
    assert whole.run("--cores", "1", "verify").returncode == 0
    done = whole.run("--report", "report.html")
    assert done.returncode == 0, done.stdout[-2000:]
    report = (whole.folder / "report.html").read_text()
    assert "12\nimage classifiers" in report.replace("\\n", "\n")
    explorer = (whole.results / "explorer.html").read_text()
    assert EVIL not in report + explorer
    assert EVIL.replace("<", r"\u003c").replace(">", r"\u003e") in explorer
    whole.make("bundle")
    bundle = whole.folder / "results" / "published-12.zip"
    with zipfile.ZipFile(bundle) as archive:
        assert any(name.endswith("tables/clusters.parquet") for name in archive.namelist())
    bundle.unlink()


def test_its_cost_can_be_asked_for(whole):
    done = whole.run("--cores", "1", "plan")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "figures  " in done.stdout
    assert "One more model" not in done.stdout


@pytest.mark.parametrize("models", [2, 69])
def test_few_and_many_models(tmp_path, models):
    study = StudyFolder(tmp_path, published(tmp_path, models))
    study.make("--until", "components")
    data = tables(study)
    assert len(data["clusters"]) == len(data["models"]) == models
    assert data["clusters"]["cluster"].nunique() == study.config["clusters"]["number"]
    settings = {"order": "cluster", "palette": "colorblind"}
    base.style()
    shown = {name: base.as_plain_text(table) for name, table in data.items()}
    for name in FIGURES | OF_LEVELS:
        figure = figures.get(name)
        drawn = figure.draw(shown, settings, *([LABEL] if figure.per_measure else []))
        base.save(drawn, tmp_path, name, 50, data["models"])


def test_levels_are_compared_where_there_are_several(whole, tmp_path):
    study = whole.copied(tmp_path / "study")
    study.config["models"][0]["eps"] = 1
    assert {f"figure_{name}" for name in FIGURES | OF_LEVELS} <= set(study.planned())


def test_without_components_there_are_clusters_all_the_same(whole, tmp_path):
    study = whole.copied(tmp_path / "study")
    del study.config["components"]
    planned = study.planned()
    assert "components" not in planned
    shutil.rmtree(study.results)
    study.make("--until", "clusters")
    assert tables(study).keys() == TABLES - {
        *("components", "component_importance", "component_scores", "component_keywords"),
        *("conclusions", "dictionary", "measures"),
    }


def test_the_documentation_writes_such_a_config(tmp_path, monkeypatch):
    wanted = published(tmp_path, 12)
    text = (ROOT / "docs" / "alike.md").read_text()
    (block,) = [found for found in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "yaml" in found]
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "alike.md", "exec"), {})
    study = read_study("published.yaml")
    assert study.active == [entry["name"] for entry in wanted["models"]]
    assert study.missing() == {}


def test_a_changed_table_is_taken_in_anew(whole, tmp_path):
    study = whole.copied(tmp_path / "study")
    path = study.folder / "sat.csv"
    path.write_text(path.read_text().replace("4.6051", "4.605"))
    planned = study.planned()
    assert {planned[rule] for rule in ("import_similarity", "tables", "clusters", "components")} == {1}
    manifest = json.loads((study.results / "imported" / "sat.json").read_text())
    assert manifest["settings"]["models"] == [entry["name"] for entry in study.config["models"]]
