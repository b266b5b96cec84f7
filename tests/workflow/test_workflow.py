"""The workflow as a user meets it: one run, again, one model more, one less, another plot, another config."""

import os

import pandas as pd
import pytest
from conftest import AFTER_TABLES, NEW_MODEL, OF_TABLES, ROOT, TINY, StudyFolder


def figures(rules):
    return {rule for rule in rules if rule.startswith("figure_")}


def test_a_finished_study_is_whole(finished):
    for manifest in finished.manifests().values():
        stores = [manifest.with_suffix(end) for end in (".zarr", ".parquet", ".md", ".html", "")]
        assert any(store.exists() for store in stores), manifest
    assert not list(finished.results.rglob("*.partial"))
    assert not list(finished.results.rglob(".*.partial"))
    for table in (finished.results / "tables").glob("*.parquet"):
        assert len(pd.read_parquet(table)), table
    pictures = list((finished.results / "figures").rglob("*.png"))
    assert len(pictures) == len(list((finished.results / "figures").rglob("*.pdf"))) > 10
    for rule in ("train", "invert", "similarity", "figures"):
        assert list((finished.results / "logs" / rule).iterdir())
        assert list((finished.results / "benchmarks" / rule).iterdir())


def test_similarity_has_every_pair_in_every_direction(finished):
    table = pd.read_parquet(finished.results / "tables" / "similarity.parquet")
    models = len(TINY["models"])
    counts = table.groupby(["measure", "kind"]).size().to_dict()
    natural, inverted = models * (models + 1) // 2, models**2
    assert counts == {
        ("linear_cka", "natural"): natural,
        ("linear_cka", "inverted"): inverted,
        ("agreement", "natural"): natural,
        ("agreement", "inverted"): inverted,
        ("saliency_cosine", "natural"): natural,
        ("sat", "adversarial"): natural,
        ("decision_regions", "natural"): natural,
        ("boundary_distance", "natural"): natural,
    }
    own = table[(table["model_a"] == table["model_b"]) & ~table["measure"].isin(["sat", "boundary_distance"])]
    assert own["value"].to_numpy() == pytest.approx(1)
    inside = table["ci_low"].le(table["value"]) & table["value"].le(table["ci_high"])
    assert inside.all()


def test_again_there_is_nothing_to_do(study):
    assert "Nothing to be done" in study.run("--dry-run").stdout


def test_touched_and_reformatted_code_reruns_nothing(study):
    for script in (ROOT / "workflow_scripts").glob("*.py"):
        os.utime(script)
    assert study.planned() == {}


def test_an_appended_model_adds_its_own_jobs_and_touches_nothing(study):
    # As if the first four had been computed on a GPU, which the user accepts.
    study.computed_on("cuda")
    study.config["mixed_devices"] = True
    before = study.stamps()
    study.config["models"].append(NEW_MODEL)
    rules = study.planned()
    activations = {f"activations_{made}" for made in ("natural", "inverted", "adversarial")}
    own = activations | {"train", "evaluate", "invert", "attack", "boundaries", "similarity", "distill"}
    assert {rule: rules[rule] for rule in own} == dict.fromkeys(own, 1)
    assert set(rules) == own | AFTER_TABLES | figures(rules) | {"all", "total"}
    study.make("--until", "tables", "distill", "draws")
    after = study.stamps()
    for name, stamp in before.items():
        if not name.startswith(("tables/", "figures/")):
            assert after[name] == stamp, name
    verified = study.run("--cores", "1", "verify").stdout
    assert "artifacts of several devices or precisions stand beside each other: " in verified
    assert "train on cuda in float32 (4) and cpu in float32 (1)" in verified
    again = dict(NEW_MODEL, name="another")
    study.config["models"].append(again)
    assert study.planned()["total"] == rules["total"], "the number of jobs depends on the number of models"


def test_a_model_of_another_precision_or_device_is_refused_before_any_job(study):
    study.config["models"].append(NEW_MODEL)
    study.config["precision"] = "bf16"
    foretold = study.run("--dry-run")
    assert foretold.returncode == 0, foretold.stdout[-2000:]
    said = "computed on cpu in float32, and the coming ones would be on cpu in bf16, to stand in the same"
    assert said in foretold.stdout
    study.config["precision"] = "float32"
    study.computed_on("cuda")
    before, logs = study.stamps(), set((study.results / "logs").rglob("*"))
    refused = study.run("--cores", "1")
    assert refused.returncode != 0
    assert "computed on cuda in float32, and the coming ones would be on cpu in float32" in refused.stdout
    assert "or accept both with `mixed_devices: true`" in refused.stdout
    assert study.stamps() == before
    assert {path.name for path in set((study.results / "logs").rglob("*")) - logs} <= {"run.lock"}


def test_a_retired_model_recomputes_no_shell(study):
    study.config["models"][1]["retired"] = True
    del study.config["distillation"]
    rules = study.planned()
    # Without its section there are fewer tables to describe.
    after = AFTER_TABLES - {"distillation"} | {"dictionary"}
    assert set(rules) == after | figures(rules) | {"all", "total"}
    study.make("--until", "tables")
    table = pd.read_parquet(study.results / "tables" / "similarity.parquet")
    assert "mlp-0" not in set(table["model_a"]) | set(table["model_b"])


def test_another_evaluation_retrains_nothing(study):
    study.config["evaluation"]["radius"] = 0.3
    rules = study.planned()
    assert set(rules) == {"evaluate"} | OF_TABLES | figures(rules) | {"all", "total"}


def test_a_plot_setting_redraws_only_what_uses_it(study):
    study.config["figures"] = {"gallery": 2}
    assert set(study.planned()) == {"figure_inversions", "all", "total"}
    # Figures are drawn anywhere, whatever their numbers were computed on.
    study.computed_on("cuda bf16")
    study.config["figures"] = {"dpi": 80}
    rules = study.planned()
    assert set(rules) == figures(rules) | {"all", "total"}
    assert "mixed_devices" not in study.said


def test_a_new_measure_computes_itself_alone(study):
    parts = {path: path.stat().st_mtime_ns for path in (study.results / "similarity").glob("*/*.json")}
    study.config["measures"].append({"name": "knn_jaccard", "k": 3})
    rules = study.planned()
    assert set(rules) == {"similarity", "dictionary", "draws"} | OF_TABLES | figures(rules) | {"all", "total"}
    study.make("--until", "tables")
    for part, stamp in parts.items():
        assert part.stat().st_mtime_ns == stamp, part
    table = pd.read_parquet(study.results / "tables" / "similarity.parquet")
    assert "knn_jaccard-k3" in set(table["measure"])


def test_a_damaged_part_is_computed_again(study):
    (part,) = (study.results / "similarity" / "vgg-0").glob("agreement.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    good = (study.results / "similarity" / "vgg-0.parquet").read_bytes()
    study.make("--forcerun", "similarity", "--until", "similarity")
    assert (study.results / "similarity" / "vgg-0.parquet").read_bytes() == good


def test_configfile_replaces_the_default_config(tmp_path):
    config = {key: value for key, value in TINY.items() if key != "distillation"} | {"study": "other"}
    rules = StudyFolder(tmp_path, config).planned()
    assert rules["train"] == len(TINY["models"])
    assert "distill" not in rules, "the default config's distillation section was merged in"


def test_a_wrong_config_is_one_line(tmp_path):
    config = dict(TINY, measures=["linear_ka"])
    done = StudyFolder(tmp_path, config).run("--dry-run")
    assert done.returncode != 0
    said = [line for line in done.stdout.splitlines() if line and not line.startswith("Using workflow")]
    assert said == ["config: unknown measure 'linear_ka'; did you mean 'linear_cka'?"]
    assert not (tmp_path / "results").exists()


def test_results_that_cannot_be_written_are_one_sentence(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "tiny").write_text("in the way")
    done = StudyFolder(tmp_path, TINY).run("--cores", "1")
    assert done.returncode != 0
    assert "results/tiny is not a folder; move it away." in done.stdout
    assert len(done.stdout.splitlines()) <= 2


def test_a_page_that_an_older_version_did_not_make_is_made(finished):
    """Snakemake compares no version of a rule whose outputs had other names when it ran."""
    page = finished.results / "figures" / "cards" / "cards.html"
    away = page.rename(page.with_suffix(".away"))
    try:
        assert finished.planned() == {"figure_cards": 1, "all": 1, "total": 2}
    finally:
        away.rename(page)
