"""Every wrong config ends in one sentence that says what is wrong and, if there is one, the nearest name."""

import copy
import inspect
import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY

from modelkin.errors import ModelkinError
from modelkin.optimise import inversion
from modelkin.study import schema
from modelkin.study.config import Study, read_study


def wrong(**changes):
    return {**copy.deepcopy(TINY), **changes}


def wrong_model(**changes):
    made = copy.deepcopy(TINY)
    made["models"][1] |= changes
    return made


def without(key):
    return {name: value for name, value in TINY.items() if name != key}


BAD = {
    "unknown measure": (wrong(measures=["linear_ka"]), "did you mean 'linear_cka'"),
    "unknown dataset": (wrong(dataset={"name": "digit"}), "did you mean 'digits'"),
    "unknown architecture": (wrong_model(architecture="vg"), "did you mean 'vgg'"),
    "no architecture": (
        wrong(models=[{"name": "a", "source": "train"}, TINY["models"][0]]),
        "model 'a': source 'train' needs an architecture",
    ),
    "unknown source": (wrong_model(source="trian"), "did you mean 'train'"),
    "unknown recipe": (wrong_model(eps=1, recipe="trade"), "did you mean 'trades'"),
    "unknown key": (wrong(prob={}), "unknown key in the config 'prob'; did you mean 'probes'"),
    "unknown key of a section": (wrong(probes={"natral": 5}), "did you mean 'natural'"),
    "unknown key of a model": (wrong_model(epsilon=1), r"models\[1\]"),
    "unknown setting of a dataset": (wrong(dataset={"name": "digits", "siz": 8}), "did you mean 'size'"),
    "unknown setting of a measure": (
        wrong(measures=[{"name": "knn_jaccard", "kk": 5}]),
        "setting of measure knn_jaccard 'kk'; did you mean 'k'",
    ),
    "a setting that is no number": (wrong(measures=[{"name": "knn_jaccard", "k": "5"}]), "whole number"),
    "missing section": (without("measures"), "lacks the key 'measures'"),
    "two models of one name": (wrong_model(name="vgg-0"), "two models are named 'vgg-0'"),
    "two measures": (wrong(measures=["agreement", "agreement"]), "two measures are named 'agreement'"),
    "a slash in a name": (wrong_model(name="a/b"), "'a/b' is not usable as a name"),
    "a space in a name": (wrong_model(name="a b"), "'a b' is not usable as a name"),
    "dots for a name": (wrong_model(name=".."), "not usable as a name"),
    "a slash in the study's name": (wrong(study="../x"), "not usable as a name"),
    "a slash in an imported table's label": (
        wrong(imported=[{"label": "a/b", "file": "x.csv"}]),
        "'a/b' is not usable as a name",
    ),
    "two imported tables of one label": (
        wrong(imported=[{"label": "a", "file": "x.csv"}, {"label": "a", "file": "y.csv"}]),
        "two imported tables are named 'a'",
    ),
    "unknown Laplacian": (wrong(clusters={"laplacian": "normalized"}), "did you mean 'normalised'"),
    "negative eps": (wrong_model(eps=-1), r"models\[1\].eps must be at least 0, not -1"),
    "eps that is no number": (wrong_model(eps="1"), r"models\[1\].eps must be of type number"),
    "standard with eps": (wrong_model(recipe="standard", eps=1), "does not go with eps 1"),
    "adversarial without eps": (wrong_model(recipe="adversarial"), "does not go with eps 0"),
    "more neighbours than samples": (
        wrong(measures=["linear_cka", {"name": "knn_jaccard", "k": 40}]),
        "more neighbours than the inverted probe has other images",
    ),
    "one model": (wrong(models=TINY["models"][:1]), "models needs at least 2"),
    "one model left": (
        wrong(models=[TINY["models"][0], dict(TINY["models"][1], retired=True)]),
        "at least two models",
    ),
    "no measure": (wrong(measures=[]), "measures needs at least 1"),
    "a probe larger than the dataset": (
        wrong(probes={"natural": 101}),
        "natural asks for 101 images, but the test split of digits has 100",
    ),
    "pairs larger than the dataset": (
        wrong(probes={"inverted": 101, "natural": 50}),
        "inverted asks for 101",
    ),
    "no test images": (wrong(dataset={"name": "digits", "test": 0}), "between 1 and 1796"),
    "device": (wrong(device="gpu"), "device"),
    "more clusters than models": (wrong(clusters={"number": 5}), "number is 5, but the study has 4 models"),
    "unknown student": (wrong(distillation={"student": "mlp"}), "did you mean 'mlp-0"),
    "unknown teacher": (
        wrong(distillation={"student": "mlp-0", "teachers": ["vgg-1"]}),
        "unknown distillation teacher 'vgg-1'",
    ),
    "a student that is its own teacher": (
        wrong(distillation={"student": "mlp-0", "teachers": ["mlp-0"]}),
        "its own teacher",
    ),
    "a student that is retired": (
        wrong_model(retired=True),
        "the student 'mlp-0' is retired",
    ),
    "no ensemble that small": (wrong(ensembles={"sizes": [5, 6]}), "no size is small enough"),
    "clustering by what is not measured": (
        wrong(ensembles={"clusters_by": {"measure": "procrustes"}}),
        "unknown measure in ensembles.clusters_by",
    ),
    "clustering by saliency of inverted images": (
        wrong(ensembles={"clusters_by": {"measure": "saliency_cosine"}}),
        "not measured on inverted probes",
    ),
    "a setting of another mode": (
        wrong(inversion={"mode": "fast", "schedule": "cosine"}),
        "inversion: 'schedule' is not for mode fast; it is for mode published",
    ),
    "an unknown mode": (wrong(inversion={"mode": "quick"}), "inversion.mode 'quick'"),
    "a palette that does not exist": (wrong(figures={"palette": "colourblind"}), "did you mean 'colorblind'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(name):
    given, said = BAD[name]
    with pytest.raises(ModelkinError, match=said) as found:
        Study(given)
    assert "\n" not in str(found.value)
    assert str(found.value).endswith((".", "?"))


def test_fewer_than_two_classes(tmp_path):
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", x=np.zeros((70, 8, 8), np.uint8), y=np.zeros(70, int))
    dataset = {"name": "npz", "train": str(tmp_path / "train.npz"), "test": str(tmp_path / "test.npz")}
    with pytest.raises(ModelkinError, match="at least two classes"):
        Study(wrong(dataset=dataset))


def test_dataset_file_that_is_missing_or_damaged(tmp_path):
    dataset = {"name": "npz", "train": str(tmp_path / "no.npz"), "test": "no.npz"}
    with pytest.raises(ModelkinError, match="does not exist"):
        Study(wrong(dataset=dataset))
    (tmp_path / "no.npz").write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelkinError, match="not a readable .npz"):
        Study(wrong(dataset=dataset))


def test_components_of_a_file_are_those_of_its_content_even_when_it_is_gone(tmp_path):
    path = tmp_path / "components.csv"
    section = {"file": str(path)}
    study = Study(wrong(components=section))
    assert study.components is None
    assert "put it there" in study.missing()["tables/components.json"]
    names = [entry["name"] for entry in TINY["models"]]
    path.write_text("model,stem\n" + "".join(f"{name},x\n" for name in names))
    found = Study(wrong(components=section)).components
    assert found == {"replace": False, "rows": [{"model": name, "stem": "x"} for name in names]}
    path.unlink()
    stored = {"tiny/tables/components.json": {"settings": {"components": found}}}
    study = Study(wrong(components=section), stored.get)
    assert study.components == found
    assert study.missing() == {}
    path.write_text("model,stem\nvgg-0,x\n")
    with pytest.raises(ModelkinError, match="no row for model 'mlp-0'"):
        Study(wrong(components=section), stored.get)


def test_file_that_is_no_config(tmp_path):
    for text, said in (("a: [1", "not valid YAML"), ("- a", "must hold keys")):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ModelkinError, match=said):
            read_study(tmp_path / "c.yaml")
    with pytest.raises(ModelkinError, match="cannot be read"):
        read_study(tmp_path / "missing.yaml")


def test_defaults_are_filled_in():
    study = Study(TINY)
    assert study.section("evaluation") == {
        **{"norm": "l2", "radius": 0.5, "steps": 2, "step_size": 0.125},
        **{"samples": None, "autoattack": 0},
    }
    assert study.training("vgg-0.5")["recipe"] == "adversarial"
    assert study.training("vgg-0")["recipe"] == "standard"
    assert study.training("vgg-0")["epochs"] == 2
    assert study.earlier("vgg-0.5") == ["vgg-0", "mlp-0"]
    assert study.teachers == ["vgg-0", "vgg-0.5", "mlp-0.5"]


@pytest.mark.parametrize("mode", inversion.MODES)
def test_each_mode_of_inversion_has_the_defaults_of_its_function(mode):
    section = Study(wrong(inversion={"mode": mode})).section("inversion")
    known = {name: each.default for name, each in inspect.signature(inversion.MODES[mode]).parameters.items()}
    common = {"mode": mode, "batch_size": None, "failed_above": 0.2}
    assert section == known | common
    assert Study(wrong(inversion={})).section("inversion")["mode"] == "published"


def test_settings_that_a_recipe_does_not_use_retrain_nothing():
    before, after = (Study(wrong(training={"trades_beta": beta})) for beta in (1, 2))
    assert before.training("vgg-0") == after.training("vgg-0")
    assert before.training("vgg-0.5") == after.training("vgg-0.5")
    trades = [wrong_model(eps=1, recipe="trades") | {"training": {"trades_beta": beta}} for beta in (1, 2)]
    before, after = map(Study, trades)
    assert before.training("mlp-0") != after.training("mlp-0")


def test_a_model_overrides_the_training_section():
    study = Study(wrong_model(training={"width": 2}))
    assert study.training("mlp-0")["width"] == 2
    assert study.training("vgg-0")["width"] == 4


def test_the_default_config_is_valid_and_described():
    read_study(ROOT / "config.yaml")
    page = (ROOT / "docs" / "config.md").read_text()
    described = yaml.safe_load(schema.SCHEMA.read_text())
    keys = set(described["properties"]) | set(described["$defs"]["model"]["properties"])
    keys |= set(described["$defs"]["training"]["properties"])
    for section in described["properties"].values():
        keys |= set(section.get("properties", {}))
    missing = [key for key in sorted(keys) if f"`{key}`" not in page]
    assert not missing


def test_validating_a_config_imports_nothing_heavy():
    code = (
        "import sys; from modelkin.study.config import read_study; read_study('config.yaml');"
        "heavy = {'torch.nn', 'pandas.core', 'xarray.core', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
