"""A checkpoint of somebody's own joins a study."""

import json

import torch
from torch import nn

from modelkin.store import frames

NETWORK = """
from torch import nn


def small(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, classes))
"""


def test_a_checkpoint_joins_a_finished_study(study, tmp_path):
    (tmp_path / "networks.py").write_text(NETWORK)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 10))
    torch.save({"state_dict": network.state_dict()}, tmp_path / "mine.pt")
    entry = {"architecture": f"{tmp_path / 'networks.py'}:small", "weights": str(tmp_path / "mine.pt")}
    study.config["models"].append({"name": "mine", "source": "file", **entry})
    assert study.planned()["import_model"] == 1
    assert "train" not in study.planned()
    study.make("--until", "tables")
    made = json.loads((study.results / "models" / "mine.json").read_text())
    assert made["facts"]["build"]["head"] == "4"
    card = frames.read(study.results / "cards" / "mine.json").iloc[0]
    assert card["clean_accuracy"] < 0.5, "it was never trained"
