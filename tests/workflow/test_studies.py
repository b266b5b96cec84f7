"""The studies of the papers: whole, valid, planned and dry-run without data or network; and their twins."""

import itertools
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from modelkin.analysis import relations
from modelkin.networks import sources
from modelkin.operations import network_costs, plan
from modelkin.optimise.inversion_modes import STEPS_TAKEN
from modelkin.study.config import read_study

STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))
TWINS = sorted(path.stem for path in (ROOT / "studies" / "twins").glob("*.yaml"))
# One figure of a paper, so less than the whole of its twin.
ONE_FIGURE = ("cianfarani2022-imagenette", "cianfarani2022-imagewoof")
WHOLE = [name for name in STUDIES if name not in ONE_FIGURE]
# Nothing may be fetched: whoever opens a connection fails, in Python that this starts as well.
NO_NETWORK = """
import socket


def refused(*_, **__):
    raise OSError("the network is blocked in this test")


socket.socket.connect = socket.getaddrinfo = refused
"""


def read(name):
    return yaml.safe_load((ROOT / "studies" / f"{name}.yaml").read_text())


def twin_of(name):
    """The parts of a paper share a twin."""
    return f"twins/{name.split('-')[0]}"


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty folder in which Snakemake runs on a study of the repository, without a network."""
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT / 'workflow_scripts'}")

    def snakemake(name, *arguments):
        where = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
        config = ["--configfile", str(ROOT / "studies" / f"{name}.yaml")]
        command = [sys.executable, "-m", "snakemake", *arguments, *where, *config]
        return subprocess.run(
            command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    snakemake.folder = tmp_path
    return snakemake


def rules_of(offline, name):
    """The number of jobs of each rule."""
    done = offline(name, "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stdout[-2000:]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}


def test_the_network_is_blocked(offline):
    code = "import urllib.request; urllib.request.urlopen('https://127.0.0.1')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "the network is blocked in this test" in done.stderr


def test_every_paper_has_a_study_and_a_twin():
    papers = {"balogh2023", "cianfarani2022", "hwang2024", "jones2022", "revisiting"}
    assert papers <= set(TWINS)
    assert {name.split("-")[0] for name in [*TWINS, *STUDIES]} == papers


def test_the_twin_of_table_2_has_all_its_relations_in_every_architecture(offline):
    study = read_study(ROOT / "studies" / "twins" / "hwang2024-training.yaml")
    models = pd.DataFrame(study.describe(study.active))
    pairs = pd.DataFrame(list(itertools.combinations(models["name"], 2)), columns=["model_a", "model_b"])
    pairs = pairs.assign(
        relation=relations.pair_relations(pairs, models), of=pairs["model_a"].str.split("-").str[0]
    )
    assert pairs["relation"].value_counts().to_dict() == {
        "architecture": 15 * 36,
        "initialisation": 6 * 3,
        "hyper-parameters": 6 * 7,
        "training regime": 6 * 5,
    }
    assert pairs.query("relation == 'initialisation'")["of"].value_counts().eq(3).all()
    assert rules_of(offline, "twins/hwang2024-training")["train"] == 36


@pytest.mark.parametrize("name", WHOLE)
def test_a_study_runs_the_rules_of_its_twin(offline, name):
    full = rules_of(offline, name)
    twin = rules_of(offline, twin_of(name))
    assert set(full) == set(twin)
    assert full["similarity"] == len(read(name)["models"]) > twin["similarity"]


@pytest.mark.parametrize("name", ONE_FIGURE)
def test_a_study_of_one_figure_runs_nothing_that_its_twin_does_not(offline, name):
    full, twin = rules_of(offline, name), rules_of(offline, twin_of(name))
    assert set(full) < set(twin)
    assert {"train", "layers_within", "figure_layer_maps"} <= set(full)
    assert set(read(name)) <= set(read(twin_of(name)))
    assert read(name)["measures"] == read(twin_of(name))["measures"]


@pytest.mark.parametrize("name", WHOLE)
def test_a_twin_has_the_sections_and_measures_of_its_study(name):
    full, twin = read(name), read(twin_of(name))
    optional = {"other_datasets"} if name.startswith("revisiting-imagenet") else set()
    assert set(full) == set(twin) - optional
    measures = [
        [each if isinstance(each, str) else each["name"] for each in s["measures"]] for s in (full, twin)
    ]
    assert measures[0] == measures[1]
    for section in ("probes", "inversion", "adversarial", "boundaries", "ensembles", "evaluation"):
        assert set(full.get(section, {})) == set(twin.get(section, {})), section


def test_sixty_nine_attacks_and_all_their_evaluations_are_a_fixed_number_of_jobs_for_each_model(offline):
    jobs = rules_of(offline, "hwang2024")
    per_model = {
        *("import_model", "evaluate", "invert", "attack", "boundaries", "similarity"),
        *("activations_natural", "activations_inverted", "activations_adversarial"),
    }
    assert {rule for rule, count in jobs.items() if count == 69} == per_model
    assert jobs["total"] - 69 * len(per_model) < 35


def test_what_has_to_be_put_there_ends_a_run_in_one_sentence_and_leaves_nothing_behind(offline):
    sentence = (
        r"^config: dataset imagenet is not in data/imagenet \(val is missing\); torchvision cannot "
        r"download it; put it there \(and 50 more are missing; `snakemake plan` lists them all\)\.$"
    )
    for _ in range(2):  # the second would find a lock if the first had left one
        done = offline("jones2022", "--cores", "1")
        assert done.returncode == 1
        assert re.search(sentence, done.stdout, re.MULTILINE), done.stdout[-2000:]
        assert "Traceback" not in done.stdout
        assert "localrule" not in done.stdout, "a job was started"
    assert not (offline.folder / "results" / "jones2022").exists()


def test_only_what_the_coming_jobs_need_has_to_be_there(offline):
    """The data's manifest is there, as after a run whose data has been deleted."""
    made = offline.folder / "results" / "jones2022" / "dataset.json"
    made.parent.mkdir(parents=True)
    made.write_text(json.dumps({"digest": "0"}))
    done = offline("jones2022", str(made.relative_to(offline.folder)), "--cores", "1")
    assert done.returncode == 0, done.stdout[-2000:]
    done = offline("jones2022", "--cores", "1")
    assert "config: the checkpoint of model 'resnet18-0'" in done.stdout.splitlines()[-1]


def test_the_plan_needs_neither_data_nor_weights_nor_network(offline, tmp_path):
    """For a device that is not here; the networks' sizes are given, for they take a while to build."""
    study = read_study(ROOT / "studies" / "jones2022.yaml")
    cost = network_costs.Cost(0.0, 0.0, 0.0, 10**7, 512, 224, 3, 10**9)
    where = network_costs._where("cpu", timed=False)
    kept = {
        f"{where}; {network_costs._maker(study, name, 1000, (3, 224, 224))[1]}": cost for name in study.names
    }
    network_costs._write(offline.folder / "results" / "calibration.json", kept)
    done = offline("jones2022", "plan", "--cores", "1", "--config", "plan_teraflops=50", "plan_devices=8")
    assert done.returncode == 0, done.stdout[-2000:]
    passes = 50 * 10_000 * 2002
    hours = passes * 2 * 2 * 1e9 / 50e12 / 3600
    row = next(line for line in done.stdout.splitlines() if line.startswith("invert"))
    assert row.split()[1:3] == ["50", f"{passes:.3g}"]
    assert float(row.split()[3]) == pytest.approx(hours, rel=0.05), row
    assert "Before it can run, 51 things must be put there:" in done.stdout
    assert (
        "the checkpoint of model 'mobilenet-3', checkpoints/robust-imagenet/mobilenet_l2_eps3.ckpt"
        in done.stdout
    )
    assert "On 8 devices at once: " in done.stdout
    assert not (offline.folder / "results" / "jones2022" / "dataset.json").exists()


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_planned(name, monkeypatch):
    """Its tables with every network's cost the same, so that none is built."""
    cost = network_costs.Cost(1.0, 2.0, 3.0, 10**7, 512, 224, 3, 10**9)
    monkeypatch.setattr(network_costs, "_examined", lambda *_, **__: cost)
    monkeypatch.setattr(plan, "_paired", lambda *_: 1.0)
    study = read_study(ROOT / "studies" / f"{name}.yaml")
    costs = network_costs.network_costs(study)
    table = plan.study_plan(study, costs, start=0.0).set_index("stage")
    models, probes, on = len(study.names), study.section("probes"), 1 + len(study.others)
    assert table.loc["invert", "jobs"] == models * on
    inversion = study.section("inversion")
    steps = inversion["steps"] * STEPS_TAKEN[inversion["mode"]]
    assert table.loc["invert", "passes"] == models * on * probes["inverted"] * (1 + steps + 1)
    assert table.loc["activations_inverted", "passes"] == models**2 * on * probes["inverted"]


# names


def entries(source):
    found = [(name, model) for name in STUDIES for model in read(name)["models"]]
    return [(name, model["name"], model) for name, model in found if model["source"] == source]


def test_hwang2024_has_69_models_whose_weights_timm_knows():
    import timm

    models = entries("timm")
    assert len(models) == len({model["architecture"] for _, _, model in models}) == 69
    assert {name for name, *_ in models} == {"hwang2024"}
    for _, _, model in models:
        name, tag = model["architecture"].split(".")
        assert model["architecture"] in timm.list_pretrained(f"{name}.*"), model
        found = timm.get_pretrained_cfg(model["architecture"])
        assert found.num_classes == 1000
        # Section 3: inputs of 200 to 300 pixels, no distillation, and no other data but for three ViTs.
        assert 200 <= found.input_size[-1] <= 300, model
        assert "dist" not in tag, model
        assert ("21k" in tag) == (model["name"] in {"ViT-S", "ViT-B-32", "R26-ViT-S"}), model


def test_names_that_timm_has_given_up_are_as_the_comments_say():
    import timm

    assert not timm.models.is_model("gluon_xception65")
    for old, new in {"jx_nest_tiny": "nest_tiny_jx", "gluon_resnet101_v1c": "resnet101c"}.items():
        assert timm.models.is_model(old)
        assert timm.models.is_model(new)
    assert not timm.models.is_model("eca_halonext50ts")


def test_jones2022_is_the_grid_of_table_1():
    models = read("jones2022")["models"]
    levels = {}
    for model in models:
        levels.setdefault(model["architecture"], []).append(model["eps"])
        assert model["weights"].endswith(f"_l2_eps{model['eps']}.ckpt")
    every = [0, 0.01, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 3, 5]
    assert len(models) == 50
    assert sorted(map(len, levels.values())) == [2] * 5 + [10] * 4
    assert all(found == (every if len(found) == 10 else [0, 3]) for found in levels.values())


def test_revisiting_has_the_models_of_its_tables():
    numbers = {name: len(read(name)["models"]) for name in STUDIES if name.startswith("revisiting")}
    assert numbers == {
        "revisiting": 37,
        "revisiting-cifar10": 28,
        "revisiting-imagenet100": 20,
        "revisiting-imagenet50": 20,
    }


def test_every_architecture_of_the_robustness_library_exists():
    from torchvision import models

    source = sources.get("robustness")
    for _, _, model in entries("robustness"):
        family, name = source._family(model["architecture"])
        known = name in source._library(family)
        assert known or (family == "imagenet" and name in models.list_models(module=models)), model
