"""Entries of models from elsewhere: wrong ones are refused, and files that are not there are told of."""

import pytest
from conftest import TINY

from modelkin.errors import ModelkinError
from modelkin.study.config import Study


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"source": "timm"}, "source 'timm' needs an architecture"),
        ({"source": "torchvison", "architecture": "resnet18"}, "did you mean 'torchvision'"),
        ({"source": "robustness", "architecture": "resnet18"}, "needs a weights"),
        (
            {"source": "timm", "architecture": "resnet18", "recipe": "trades"},
            "'recipe' is not for source 'timm'",
        ),
        ({"source": "robustbench", "architecture": "X", "weights": "w"}, "'weights' is not for source"),
    ],
)
def test_wrong_entries(entry, said):
    made = dict(TINY, models=[*TINY["models"], {"name": "mine", **entry}])
    with pytest.raises(ModelkinError, match=said):
        Study(made)


@pytest.mark.parametrize("source", ["timm", "torchvision", "robustness", "file"])
def test_a_checkpoint_that_is_not_there_keeps_a_run_from_starting_but_is_no_wrong_config(source, tmp_path):
    entry = {"name": "mine", "source": source, "architecture": "resnet18", "weights": str(tmp_path / "x.pt")}
    if source == "file":
        entry["architecture"] = "timm:resnet18"
    study = Study(dict(TINY, models=[*TINY["models"], entry]))
    said = f"the checkpoint of model 'mine', {tmp_path / 'x.pt'}, does not exist; put it there."
    assert study.missing() == {"models/mine.json": said}
    assert study.weights_file("mine") == []
    (tmp_path / "x.pt").touch()
    with pytest.raises(ModelkinError, match="x.pt, is empty"):
        Study(dict(TINY, models=[*TINY["models"], entry]))
    (tmp_path / "x.pt").write_bytes(b"1")
    study = Study(dict(TINY, models=[*TINY["models"], entry]))
    assert study.missing() == {}
    assert study.weights_file("mine") == [str(tmp_path / "x.pt")]


def test_entries_that_name_downloads_need_no_file():
    entries = [
        {"name": "a", "source": "timm", "architecture": "resnet18.a1_in1k"},
        {"name": "b", "source": "torchvision", "architecture": "resnet18", "weights": "IMAGENET1K_V1"},
    ]
    study = Study(dict(TINY, models=[*TINY["models"], *entries]))
    assert study.weights_file("a") == study.weights_file("b") == []
    assert study.missing() == {}
    assert study.entry("b") == {
        "source": "torchvision",
        "architecture": "resnet18",
        "weights": "IMAGENET1K_V1",
    }
    assert [row["architecture"] for row in study.describe(study.active)][-2:] == ["resnet18", "resnet18"]
