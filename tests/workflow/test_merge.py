"""Two studies of the same images become one, and only what lacks the other's models is computed."""

import copy
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import AFTER_TABLES, TINY, StudyFolder

from modelkin.errors import ModelkinError
from modelkin.operations.bundle.merging import check_same_images, merge_studies, merged_config
from modelkin.study.config import Study

SHELLS = ("activations/inverted", "activations/adversarial", "similarity")


def half(finished, folder, names) -> StudyFolder:
    """The study of some of the tiny study's models, up to its similarities."""
    study = finished.copied(folder)
    study.config["models"] = [entry for entry in TINY["models"] if entry["name"] in names]
    study.config["distillation"]["student"] = names[-1]
    for shell in SHELLS:
        shutil.rmtree(study.results / shell)
    for name in {entry["name"] for entry in TINY["models"]} - set(names):
        for manifest in study.results.rglob(f"{name}.json"):
            manifest.unlink()
            shutil.rmtree(manifest.with_suffix(".zarr"), ignore_errors=True)
            shutil.rmtree(manifest.with_suffix(""), ignore_errors=True)
            manifest.with_suffix(".parquet").unlink(missing_ok=True)
    shutil.rmtree(study.results / "students")
    shutil.rmtree(study.results / "tables")
    shutil.rmtree(study.results / "figures")
    study.make("--until", "similarity", "evaluate")
    return study


@pytest.fixture(scope="module")
def halves(finished, tmp_path_factory):
    """Two unfinished studies, each of two of the tiny study's four models."""
    folder = tmp_path_factory.mktemp("halves")
    first = half(finished, folder / "first", ["vgg-0", "mlp-0"])
    return first, half(finished, folder / "second", ["vgg-0.5", "mlp-0.5"])


def merged(halves, folder) -> StudyFolder:
    first, second = (str(study.folder / "study.yaml") for study in halves)
    done = subprocess.run(
        [sys.executable, "-m", "modelkin", "merge", first, second, "--study", "both"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Go on with: snakemake --cores 2 --configfile both.yaml" in done.stdout
    return StudyFolder(folder, yaml.safe_load((folder / "both.yaml").read_text()))


def test_only_the_shells_of_the_second_and_what_follows_are_made(finished, halves, tmp_path):
    study = merged(halves, tmp_path)
    assert study.config["models"] == TINY["models"]
    rules = study.planned()
    figures = {rule for rule in rules if rule.startswith("figure_")}
    shells = {"activations_inverted", "activations_adversarial", "similarity"}
    assert {rule: rules[rule] for rule in shells} == dict.fromkeys(shells, 2)
    assert rules["distill"] == 3  # the halves had no students
    assert set(rules) == shells | {"distill", "dictionary"} | AFTER_TABLES | figures | {"all", "total"}
    before = study.stamps()
    assert {f"{shell}/mlp-0.json" for shell in SHELLS} <= before.keys()
    assert not {f"{shell}/vgg-0.5.json" for shell in SHELLS} & before.keys()
    study.make("--until", "tables")
    after = study.stamps()
    assert all(after[name] == stamp for name, stamp in before.items())
    # As if all four had been there from the beginning.
    digests = study.digests()
    expected = {name: digest for name, digest in finished.digests().items() if name in digests}
    assert digests == expected
    assert "tables/similarity.json" in digests


def test_a_study_is_a_folder_or_a_bundle(packed_whole, halves, tmp_path):
    """A bundle's finished study goes on with the models of an unfinished one."""
    _, second = halves
    text = merge_studies(packed_whole, second.folder / "study.yaml", "both", tmp_path)
    study = StudyFolder(tmp_path, yaml.safe_load((tmp_path / "both.yaml").read_text()))
    assert "to be made anew" in text
    rules = study.planned()
    assert rules["similarity"] == rules["activations_inverted"] == 2
    assert not {"train", "invert", "attack", "evaluate", "activations_natural", "dataset"} & rules.keys()


@pytest.fixture(scope="module")
def packed_whole(halves, tmp_path_factory):
    study = halves[0].copied(tmp_path_factory.mktemp("whole"))
    study.config |= {"measures": ["linear_cka"]}
    study.config.pop("distillation")
    study.make("bundle")
    return study.folder / "results" / "tiny.zip"


class Pretended:
    """A study of which only the config is looked at."""

    def __init__(self, **changes):
        self.config = copy.deepcopy(TINY) | changes
        self.study = Study(self.config)


def test_models_are_trained_as_they_were_in_their_own_study():
    entry = {"name": "new", "source": "train", "architecture": "vgg"}
    own = dict(entry, name="wide", training={"width": 12, "epochs": 3})
    other = Pretended(
        models=[entry, own],
        training={"epochs": 3, "width": 4, "representation": 16},
        distillation={"student": "new"},
    )
    made = merged_config(Pretended(), other)
    assert made["models"][-2:] == [
        dict(entry, training={"epochs": 3}),
        dict(own, training={"width": 12, "epochs": 3}),
    ]
    both = Study(made)
    assert all(both.training(name) == other.study.training(name) for name in ("new", "wide"))


def test_studies_that_cannot_be_one(halves, tmp_path):
    first, second = (study.folder / "study.yaml" for study in halves)
    with pytest.raises(ModelkinError, match="both studies have a model 'vgg-0'"):
        merge_studies(first, first, "both", tmp_path)
    with pytest.raises(ModelkinError, match="not usable as a name"):
        merge_studies(first, second, "../both", tmp_path)
    (tmp_path / "both.yaml").write_text("")
    with pytest.raises(ModelkinError, match="is there already"):
        merge_studies(first, second, "both", tmp_path)
    (tmp_path / "both.yaml").unlink()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", ["dataset.json", "probes/natural.json"])
def test_studies_of_other_images(other):
    one, two = Pretended(), Pretended()
    one.manifests = {"dataset.json": {"digest": "a"}, "probes/natural.json": {"digest": "b"}}
    two.manifests = copy.deepcopy(one.manifests)
    check_same_images(one, two)
    two.manifests[other]["digest"] = "c"
    with pytest.raises(ModelkinError, match=f"differ in {other}, so their models saw other images"):
        check_same_images(one, two)
    two = Pretended(dataset=TINY["dataset"] | {"label": "another"})
    with pytest.raises(ModelkinError, match="call their datasets otherwise"):
        check_same_images(one, two)


def test_a_damaged_study_is_not_merged(halves, tmp_path):
    first, second = halves
    other = second.copied(tmp_path / "other")
    (other.results / "models" / "vgg-0.5" / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelkinError, match="cannot be merged: models/vgg-0.5.json is damaged"):
        merge_studies(first.folder / "study.yaml", other.folder / "study.yaml", "both", tmp_path)
