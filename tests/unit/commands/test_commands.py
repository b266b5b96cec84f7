"""What a person types, and what is answered, without Snakemake."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT

from modelkin import registry
from modelkin.commands import beginning, listing, parser, workflow
from modelkin.comparison import measures
from modelkin.errors import ModelkinError
from modelkin.jobs import gpus
from modelkin.study.config import read_study

NETS = "def small():\n    pass\n\nTABLE = {'deep': small}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with checkpoints, an architecture and images, in which commands are given."""
    (tmp_path / "runs").mkdir()
    for name in ("resnet-a.pt", "resnet-b.pth", "vgg.safetensors", "notes.txt"):
        (tmp_path / "runs" / name).write_bytes(b"1")
    (tmp_path / "nets.py").write_text(NETS)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "test.npz", x=rng.integers(0, 255, (40, 8, 8, 3), np.uint8), y=np.arange(40) % 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys, *arguments) -> str:
    parser.main(arguments)
    return capsys.readouterr().out


def refused(*arguments) -> str:
    with pytest.raises(SystemExit) as ended:
        parser.main(arguments)
    assert "\n" not in str(ended.value)
    return str(ended.value)


INIT = ("init", "--checkpoints", "runs", "--architecture", "nets.py:small", "--dataset", "test.npz")


def test_every_list_has_a_line_on_everything(capsys):
    for what in ("measures", "attacks", "datasets"):
        assert all(row.name and row.about for row in listing.LISTS[what]())
    assert [row.name for row in listing.measures_()] == measures.names()
    text = said(capsys, "measures")
    for name in measures.names():
        assert re.search(rf"^  {name} +[A-Z]", text, re.MULTILINE)
    assert "cifar10 " in said(capsys, "datasets")
    assert "snow " in said(capsys, "attacks")


def test_lists_are_searched(capsys):
    assert said(capsys, "measures", "CKA").split() == said(capsys, "measures", "cka").split()
    assert "procrustes" not in said(capsys, "measures", "cka")
    text = said(capsys, "models", "timm", "resnet50", "wide")
    assert text.split() == ["source:", "timm", "wide_resnet50_2"]
    assert "cifar/resnet50" in said(capsys, "models", "robustness", "resnet50")
    assert said(capsys, "models", "zzz").strip() == "Nothing among the models has 'zzz'."


def test_long_lists_say_how_to_search_them(capsys):
    text = said(capsys, "models")
    assert "residual" in text
    assert re.search(r"and 1[0-9]{3} more: `modelkin models WORD` searches them", text)
    assert len(text.splitlines()) < 100


def test_lists_and_checks_import_nothing_heavy(folder):
    parser.main(INIT)
    for command in ("models", "measures", "datasets", "attacks", "check", "--version"):
        code = f"""
import sys
from modelkin.commands.parser import main
try:
    main([{command!r}])
except SystemExit as ended:
    assert not ended.code, ended.code
assert not {{"torch", "snakemake", "timm", "torchvision", "matplotlib"}} & sys.modules.keys()
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)


def test_a_study_begins_with_a_folder_of_checkpoints(folder, capsys):
    text = said(capsys, *INIT, "--study", "mine", "--mean", "0.5", "0.4", "0.3", "--std", "1", "1", "1")
    assert "3 models, 3 from elsewhere" in text
    assert "40 natural images, 40 inverted ones (mode fast)" in text
    made = yaml.safe_load((folder / "config.yaml").read_text())
    assert [entry["name"] for entry in made["models"]] == ["resnet-a", "resnet-b", "vgg"]
    assert made["models"][1] == {
        "name": "resnet-b",
        "source": "file",
        "weights": "runs/resnet-b.pth",
        "architecture": "nets.py:small",
        "mean": [0.5, 0.4, 0.3],
        "std": [1.0, 1.0, 1.0],
    }
    assert (made["study"], made["dataset"]) == ("mine", {"name": "npz", "test": "test.npz"})
    assert (folder / "config.yaml").read_text().startswith("# yaml-language-server: $schema=")
    assert read_study(folder / "config.yaml").names == ["resnet-a", "resnet-b", "vgg"]
    assert "is fine" in said(capsys, "check")


def test_architectures_go_by_file_name(folder):
    answers = beginning.Answers(
        "s", ["runs"], ["resnet*=nets.py:TABLE[deep]", "nets.py:small"], dataset="test.npz"
    )
    entries = yaml.safe_load(beginning.config_text(answers))["models"]
    asked = ["nets.py:TABLE[deep]", "nets.py:TABLE[deep]", "nets.py:small"]
    assert [entry["architecture"] for entry in entries] == asked
    with pytest.raises(ModelkinError, match="no --architecture is for vgg.safetensors"):
        beginning.config_text(answers._replace(architecture=["resnet*=nets.py:small"]))


def test_models_of_libraries_and_datasets_by_name(folder):
    answers = beginning.Answers("s", models=["timm:resnet18.a1_in1k", "torchvision:swin_t"], dataset="svhn")
    made = yaml.safe_load(beginning.config_text(answers))
    assert made["models"][0] == {
        "name": "resnet18.a1_in1k",
        "source": "timm",
        "architecture": "resnet18.a1_in1k",
    }
    assert made["dataset"] == {"name": "torchvision", "dataset": "svhn", "root": "data", "download": True}
    (folder / "pictures").mkdir()
    made = yaml.safe_load(beginning.config_text(answers._replace(dataset="pictures", size=64)))
    assert made["dataset"] == {"name": "folder", "test": "pictures", "size": 64}


def test_two_files_of_one_name_are_two_models(folder):
    (folder / "other").mkdir()
    (folder / "other" / "vgg.pt").write_bytes(b"1")
    answers = beginning.Answers(
        "s", ["runs/vgg.safetensors", "other/vgg.pt"], ["nets.py:small"], dataset="test.npz"
    )
    names = [entry["name"] for entry in yaml.safe_load(beginning.config_text(answers))["models"]]
    assert names == ["runs-vgg", "other-vgg"]


def test_a_study_of_digits_is_valid(folder, capsys):
    assert "4 models, 4 to be trained" in said(capsys, "init", "digits.yaml", "--digits")
    study = read_study("digits.yaml")
    assert study.name == "digits"
    assert study.section("inversion")["mode"] == "fast"
    assert study.training("vgg-0")["epochs"] == 16


def test_what_is_missing_is_asked_for(folder):
    asked = []

    def question(text):
        asked.append(text)
        return ["runs", "nets.py:small", "0.5 0.5 0.5", "1, 1, 1", "test.npz"][len(asked) - 1]

    answers = beginning.ask(beginning.Answers("s"), question)
    assert answers == beginning.Answers(
        "s", ["runs"], ["nets.py:small"], (), "test.npz", None, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)
    )
    assert len(asked) == 5
    assert beginning.ask(beginning.Answers("s"), lambda _: "") == beginning.Answers("s", [])
    sizes = beginning.ask(beginning.Answers("s", models=["timm:a"], dataset="gtsrb"), lambda _: "48")
    assert sizes.size == 48
    with pytest.raises(ModelkinError, match="'a b' must be numbers"):
        beginning.ask(beginning.Answers("s", ["runs"], ["x"]), lambda _: "a b")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("init",), "nobody is here to be asked; name --checkpoints"),
        (INIT[:5], "name the images to compare on: --dataset"),
        ((*INIT[:3], "--dataset", "test.npz"), "architecture of the checkpoints is not known"),
        ((*INIT[:2], "none", *INIT[3:]), "the checkpoint none does not exist"),
        ((*INIT[:2], "empty", *INIT[3:]), "there is no checkpoint in empty"),
        ((*INIT[:4], "nets.py:smal", *INIT[5:]), "unknown callable in nets.py 'smal'; did you mean 'small'"),
        ((*INIT[:6], "cifar"), "unknown dataset, .* 'cifar'; did you mean 'cifar1"),
        ((*INIT[:6], "runs"), "images of a folder differ in size; .* --size"),
        ((*INIT, "--mean", "0.5", "0.5"), "mean has 2 numbers, but the images of npz have 3 channels"),
        (("init", "--models", "tim:resnet18", *INIT[5:]), "unknown model, which must be source:architecture"),
        (
            ("init", "--models", "timm:resnet5", "timm:vgg11", *INIT[5:]),
            "unknown architecture of timm 'resnet5'",
        ),
        (("check",), "there is no config.yaml in this folder; `modelkin init` begins one"),
        (("run", "my.yaml"), "the config my.yaml does not exist; `modelkin init my.yaml` begins one"),
        (("explore", "bad.yaml"), "bad.yaml is not valid YAML: line 2, column 1"),
        (("run", "bad.yaml", "-n"), "bad.yaml is not valid YAML: line 2, column 1"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, sentence, folder, monkeypatch):
    (folder / "empty").mkdir()
    (folder / "bad.yaml").write_text("study: x\n\tmodels: []\n")
    monkeypatch.setattr(sys, "stdin", open("/dev/null"))  # noqa: SIM115
    assert re.search(sentence, refused(*arguments))
    assert not (folder / "config.yaml").exists()


def test_a_config_that_is_there_is_not_written_over(folder):
    (folder / "config.yaml").write_text("study: mine")
    assert "config.yaml is there already" in refused(*INIT)
    assert (folder / "config.yaml").read_text() == "study: mine"


def test_checking_says_all_that_is_missing(folder, capsys):
    parser.main(INIT)
    for name in ("resnet-a.pt", "vgg.safetensors"):
        (folder / "runs" / name).unlink()
    with pytest.raises(SystemExit) as ended:
        parser.main(["check"])
    assert ended.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Before it can run:"
    assert [line.split(",")[0] for line in lines[1:]] == [
        "the checkpoint of model 'resnet-a'",
        "the checkpoint of model 'vgg'",
    ]


@pytest.mark.parametrize(
    ("typed", "started"),
    [
        (["run"], ["--cores", "7", "--resources", "gpu=2", "--configfile", "config.yaml"]),
        (["run", "my.yaml", "-n"], ["--cores", "7", "--resources", "gpu=2", "-n", "--configfile", "my.yaml"]),
        (
            ["run", "--cores=2", "--resources", "gpu=1", "--until", "evaluate"],
            ["--cores=2", "--resources", "gpu=1", "--until", "evaluate", "--configfile", "config.yaml"],
        ),
        (["run", "--profile", "slurm"], ["--profile", "slurm", "--configfile", "config.yaml"]),
        (["verify", "my.yaml"], ["verify", "--cores", "1", "--configfile", "my.yaml"]),
        (
            ["bundle", "--quiet"],
            ["bundle", "--cores", "7", "--resources", "gpu=2", "--quiet", "--configfile", "config.yaml"],
        ),
        (
            ["plan", "--config", "plan_teraflops=30"],
            ["plan", "--cores", "1", "--config", "plan_teraflops=30", "--configfile", "config.yaml"],
        ),
    ],
)
def test_snakemake_is_started_as_it_would_be_typed(typed, started, folder, monkeypatch):
    for name in ("my.yaml", "config.yaml"):
        (folder / name).write_text("study: tiny")
    commands = []
    monkeypatch.setattr(workflow.subprocess, "Popen", lambda command: commands.append(command) or Ended(3))
    monkeypatch.setattr(workflow.os, "cpu_count", lambda: 7)
    monkeypatch.setattr(gpus, "installed_gpus", lambda: ["a", "b"])
    with pytest.raises(SystemExit) as ended:
        parser.main(typed)
    assert ended.value.code == 3, "the exit status is Snakemake's"
    (command,) = commands
    assert command[:5] == [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    assert command[5:] == started


class Ended:
    """A process that ends with that status, after Ctrl-C."""

    def __init__(self, status):
        self.status, self.pressed = status, False

    def wait(self):
        if not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        return self.status


def test_help_says_what_snakemake_is_given(capsys):
    assert "`snakemake plan --cores 1 --config plan_teraflops=30 --configfile my.yaml`" in said(
        capsys, "plan", "--help"
    )
    for command in parser.OF_SNAKEMAKE:
        assert said(capsys, command, "-h").startswith(f"usage: modelkin {command} [CONFIG]")


def test_modules_are_described_without_being_imported(tmp_path, monkeypatch):
    (tmp_path / "ours.py").write_text('"""Ours, over\ntwo lines.\n\nAnd more."""\nraise SystemExit\n')
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(tmp_path)])
    assert registry.descriptions(measures)["ours"] == "Ours, over two lines."
