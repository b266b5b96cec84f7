"""A study of models that take other sizes, with images of a second dataset, and models that are no good."""

import json

import pandas as pd
import pytest
import torch
from conftest import TINY, StudyFolder
from torch import nn

from modelkin.data.images import load_images
from modelkin.networks.weights import load_model
from modelkin.operations import bundle
from modelkin.store import arrays

NETWORKS = """
from torch import nn


def larger():
    pooled = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
    return nn.Sequential(*pooled, nn.Flatten(), nn.Linear(24, 1), nn.Linear(1, 10))
"""
# What somebody else may call a component, and what it may be.
ODD = (r"$\frac{1}", "$x_{$", "<script>", '"><img src=x onerror=alert(1)>')


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two trained models of 8 pixels, and one never trained of 12 pixels and one feature under two names;
    beside them a table of components with odd names.
    """
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "networks.py").write_text(NETWORKS)
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    network = nn.Sequential(*layers, nn.Linear(24, 1), nn.Linear(1, 10))
    torch.save(network.state_dict(), folder / "larger.pt")
    own = {"source": "file", "architecture": "networks.py:larger", "weights": "larger.pt", "size": 12}
    config = {key: value for key, value in TINY.items() if key != "distillation"}
    names = ("vgg-0", "mlp-0", "untaught", "twin")
    table = {"model": names, "activation": ODD, ODD[1]: ODD[::-1], ODD[3]: ODD[1:] + ODD[:1]}
    pd.DataFrame(table).to_csv(folder / "components.csv", index=False)
    config |= {
        "study": "mixed",
        "components": {"file": "components.csv"},
        "models": [*TINY["models"][:2], {"name": "untaught", **own}, {"name": "twin", **own}],
        "other_datasets": [{"label": "big", "name": "digits", "size": 10, "test": 80, "seed": 3}],
        "probes": {**TINY["probes"], "saliency": 20},
        "evaluation": {"steps": 2, "samples": 30, "autoattack": 4},
        "ensembles": {
            "sizes": [2, 3],
            "draws": 5,
            "clusters_by": {"measure": "linear_cka", "kind": "inverted:big"},
        },
    }
    study = StudyFolder(folder, config)
    study.said = study.make()
    return study


def table(study, name):
    return pd.read_parquet(study.results / "tables" / f"{name}.parquet")


def facts(study, name):
    return json.loads((study.results / f"{name}.json").read_text())["facts"]


def test_every_kind_of_probe_is_compared(mixed):
    counts = table(mixed, "similarity").groupby(["measure", "kind"]).size().to_dict()
    for measure in ("linear_cka", "agreement"):
        for kind in ("natural", "natural:big"):
            assert counts[measure, kind] == 10
        for kind in ("inverted", "inverted:big"):
            assert counts[measure, kind] == 16
    assert {kind for measure, kind in counts if measure == "saliency_cosine"} == {"natural"}
    assert set(table(mixed, "similarity").query("kind == 'natural:big'")["source"]) == {"big"}
    assert set(table(mixed, "inversions")["kind"]) == {"inverted", "inverted:big"}


def test_a_probe_lives_at_the_size_of_its_source(mixed):

    for on in ("", ".big"):
        for name, size in {"vgg-0": 8, "untaught": 12}.items():
            probe = load_images(mixed.results / "probes" / f"inverted{on}" / f"{name}.json")
            assert probe.shape == (1, size, size)
    assert load_images(mixed.results / "probes" / "natural.big.json").shape == (1, 10, 10)
    made = json.loads((mixed.results / "activations" / "inverted" / "twin.json").read_text())
    assert made["settings"]["resize"] == "bilinear"


def test_what_was_computed_is_what_the_definition_says(mixed, monkeypatch):
    """An observer of 12 pixels on the images of a model of 8, from the stores alone."""

    monkeypatch.chdir(mixed.folder)
    trusted = {"source": "file", "architecture": "networks.py:larger"}
    observer = load_model(mixed.results / "models" / "untaught.json", entry=trusted)
    probe = load_images(mixed.results / "probes" / "inverted" / "vgg-0.json")
    x = nn.functional.interpolate(torch.from_numpy(probe.floats()), (12, 12), mode="bilinear", antialias=True)
    logits = arrays.open_dataset(mixed.results / "activations" / "inverted" / "untaught.zarr", "on/vgg-0")[
        "logits"
    ]
    assert logits.to_numpy() == pytest.approx(observer.network(x.clamp(0, 1)).numpy(), abs=1e-5)


def test_saliency_is_of_so_many_images_at_equal_distances(mixed):

    probe = load_images(mixed.results / "probes" / "natural.json")
    maps = arrays.open_dataset(mixed.results / "activations" / "natural" / "twin.zarr", "saliency")[
        "saliency"
    ]
    assert maps.shape == (20, 1, 8, 8)
    assert maps["sample"].to_numpy().tolist() == probe.ids[::3].tolist()
    rows = table(mixed, "similarity").query("kind == 'natural'").groupby("measure")["n"].first()
    assert rows[["agreement", "linear_cka", "saliency_cosine"]].tolist() == [60, 60, 20]


def test_the_card_says_what_each_model_is(mixed):
    cards = table(mixed, "models").set_index("name")
    assert list(cards["size"]) == [8, 8, 12, 12]
    assert list(cards["source"]) == ["train", "train", "file", "file"]
    assert cards.loc["untaught", "origin"] == "larger.pt"
    assert cards.loc["untaught", "head"] == "5"
    assert cards.loc["untaught", "width"] == 1
    assert cards.loc["untaught", "multiply_adds"] == 6 * 9 * 100 + 24 + 10
    assert cards["autoattack_accuracy"].between(0, 1).all()
    (points,) = {len(facts(mixed, f"models/{name}")["split_points"]) for name in ("untaught", "twin")}
    assert cards.loc["twin", "split_points"] == points == 5


def test_models_that_know_nothing_and_models_that_are_the_same_are_told(mixed):
    cards = table(mixed, "models").set_index("name")
    assert list(cards["at_chance"]) == [False, False, True, True]
    assert cards["same_weights_as"].fillna("").to_list() == ["", "", "", "untaught"]
    assert "'twin' has the same weights as 'untaught'" in mixed.said
    assert "no better than always naming the commonest class" in mixed.said


def test_models_at_chance_are_named_on_every_figure(mixed):
    pdfs = list((mixed.results / "figures").rglob("*.pdf"))
    assert len(pdfs) > 10
    for pdf in pdfs:
        assert "untaught" in text(pdf).replace("\0", ""), pdf


def text(pdf):
    """The characters drawn in a PDF of matplotlib, whose streams are deflated and fonts embedded by name."""
    import re
    import zlib

    found = b""
    for stream in re.findall(rb"stream\r?\n(.*?)\nendstream", pdf.read_bytes(), re.DOTALL):
        try:
            found += zlib.decompress(stream)
        except zlib.error:
            continue
    shown = re.findall(rb"\[(.*?)\] TJ|\((.*?)\) Tj", found, re.DOTALL)
    return "".join(
        "".join(re.findall(r"\((.*?)\)", f"({b.decode('latin1')})" if b else a.decode("latin1")))
        for a, b in shown
    )


def test_another_way_of_resizing_remakes_only_what_is_resized(mixed):
    mixed.config["resizing"] = "nearest"
    rules = mixed.planned()
    mixed.config["resizing"] = "bilinear"
    assert "train" not in rules
    assert rules["activations_natural"] == 8
    assert rules["import_model"] == 2


def test_it_is_whole_and_travels_without_its_checkpoint(mixed, tmp_path):
    study = mixed.copied(tmp_path / "study")
    assert "mixed: all fine" in study.make("verify")
    study.make("bundle")
    there = tmp_path / "there"
    there.mkdir()
    bundle.unpack(study.folder / "results" / "mixed.zip", there)
    assert not (there / "larger.pt").exists()
    assert "Nothing to be done" in StudyFolder(there, mixed.config).run("--dry-run").stdout
