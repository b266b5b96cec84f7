"""A checkpoint of somebody's own joins a study."""

import json
import os

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
    # What it was made of is watched, whatever time a file is given.
    for name, change in (("networks.py", lambda data: data.replace(b"0.5", b"0.4")), ("mine.pt", turned)):
        path = tmp_path / name
        was, age = path.read_bytes(), path.stat()
        path.write_bytes(change(was))
        assert path.stat().st_size == len(was)
        os.utime(path, ns=(age.st_atime_ns - 10**12, age.st_mtime_ns - 10**12))
        said = f"{path} is not what results/tiny/models/mine.json was made of; put back what was there"
        assert said in study.run("--dry-run").stdout
        done = study.run("--cores", "1")
        assert done.returncode != 0
        assert said in done.stdout
        assert said.split(" is ")[0] in study.run("--cores", "1", "verify").stdout
        path.write_bytes(was)
        os.utime(path, ns=(age.st_atime_ns, age.st_mtime_ns))
    assert "is not what" not in study.run("--dry-run").stdout


def turned(data):
    """The same bytes, but for one in the middle."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
