"""The plan of a study: counted by hand, and said before anything runs."""

import copy
import dataclasses

import pandas as pd
import pytest
from conftest import TINY

from modelkin.errors import ModelkinError
from modelkin.networks import building, sources
from modelkin.operations import network_costs, plan, resources
from modelkin.store import frames
from modelkin.study.config import Study

COST = network_costs.Cost(
    forward=1.0, gradient=10.0, update=100.0, parameters=1000, width=16, size=8, channels=1
)


@pytest.fixture(scope="module")
def tiny():
    study = Study(TINY)
    return study, plan.study_plan(study, dict.fromkeys(study.names, COST), start=7.0).set_index("stage")


def test_passes_and_hours_are_counted_by_hand(tiny):
    _, table = tiny
    inverted = 4 * 40 * (1 + 21)  # the target's representation, and every step
    assert table.loc["invert", "passes"] == table.loc["invert", "passes_at_most"] == inverted
    assert table.loc["invert", "hours"] == pytest.approx((4 * 40 * (1 + 21 * 10) + 4 * 7) / 3600)
    assert table.loc["activations_inverted", "passes"] == 40 * 4**2
    assert table.loc["activations_natural", "passes"] == 4 * (60 + 60)
    assert table.loc["attack", "passes"] == 4 * 60 * (5 + 3)
    assert table.loc["boundaries", "passes"] == 4 * (6 * 5**2 + 20 * (4 + 10 + 1))
    assert table.loc["attack", "gigabytes"] == pytest.approx(4 * 60 * 64 * 2 / 1e9)
    assert table.loc["activations_adversarial", "passes"] == 60 * 4**2
    trained, tested = 2 * 1697, 2 * 100
    assert table.loc["train", "passes"] == 2 * trained + 2 * trained * (1 + 3) + 4 * tested
    seconds = 2 * trained * 100 + 2 * trained * (100 + 3 * 10) + 4 * tested
    assert table.loc["train", "hours"] == pytest.approx((seconds + 4 * 7) / 3600)
    assert table.loc["evaluate", "passes"] == 4 * (100 + 100 * (2 + 1))
    assert table.loc["invert", "gigabytes"] == pytest.approx(4 * 40 * 64 * 4 / 1e9)


def test_measures_that_random_values_do_not_have_are_timed():
    study = Study({**TINY, "measures": ["pwcca", "svcca", "rsa", "rbf_cka", "mutual_knn", "gulp"]})
    wide = dataclasses.replace(COST, width=100)  # more than the probes' images
    found = plan.study_plan(study, dict.fromkeys(study.names, wide), start=7.0).set_index("stage")
    assert found.loc["similarity", "hours"] > 4 * 7 / 3600


def test_each_attack_is_counted(tiny):
    _, table = tiny
    listed = [{"label": "linf", "steps": 5}, {"label": "l2", "norm": "l2", "steps": 20, "stored": "uint8"}]
    study = Study({**TINY, "adversarial": listed})
    found = plan.study_plan(study, dict.fromkeys(study.names, COST), start=7.0).set_index("stage")
    assert found.loc["attack", ["jobs", "passes"]].tolist() == [8, 4 * 60 * ((5 + 3) + (20 + 3))]
    assert found.loc["attack", "gigabytes"] == pytest.approx(4 * 60 * 64 * (2 + 1) / 1e9)
    shells = "activations_adversarial"
    assert found.loc[shells, ["jobs", "passes"]].tolist() == [8, 2 * table.loc[shells, "passes"]]
    each = [resources.passes(study, "attack", "vgg-0", adversarial=kind) for kind in study.attacks]
    assert each == [60 * (5 + 3), 60 * (20 + 3)]


def test_attacks_under_other_threats_are_counted():
    threatened = {"threat": "snow", "steps": 7}
    models = [
        *TINY["models"],
        {"name": "snow", "source": "train", "architecture": "vgg", "eps": 2, "threat": "snow"},
    ]
    study = Study({**TINY, "models": models, "adversarial": threatened, "evaluation": {"threat": "jpeg"}})
    assert resources.passes(study, "attack", "vgg-0", adversarial="adversarial") == 60 * (7 + 3)
    assert resources.passes(study, "evaluate", "vgg-0") == 100 + 100 * (10 + 1)
    assert resources.passes(study, "train", "snow") == 2 * (1697 * (4 + 1) + 100)


def test_one_model_more_is_counted(tiny):
    study, table = tiny
    larger = study.with_one_more("more")
    assert larger.names == [*study.names, "more"]
    costs = dict.fromkeys(larger.names, COST)
    more = plan.study_plan(larger, costs, start=7.0)
    text = plan.plan_text(table.reset_index(), more)
    assert "One more model like the last: 10 jobs beside tables and figures" in text
    assert "in all" in text


def test_another_dataset_is_counted():
    both = copy.deepcopy(TINY) | {
        "other_datasets": [{"label": "big", "name": "digits", "size": 10, "test": 80, "seed": 3}]
    }
    study = Study(both)
    table = plan.study_plan(study, dict.fromkeys(study.names, COST), start=7.0).set_index("stage")
    assert table.loc["invert", "jobs"] == table.loc["activations_inverted", "jobs"] == 8
    assert table.loc["activations_natural", "passes"] == 4 * (60 + 60) + 4 * 60


def test_networks_are_timed_once_for_each_kind(monkeypatch):
    monkeypatch.setattr(network_costs, "TIMED_SECONDS", 0.001)
    study = Study(TINY)
    costs = network_costs.network_costs(study)
    assert costs["vgg-0"] is costs["vgg-0.5"]
    assert costs["vgg-0"] is not costs["mlp-0"]
    assert costs["vgg-0"].width == 16
    model = building.new_model("vgg", channels=1, size=8, classes=10, width=4, representation=16)
    assert costs["vgg-0"].parameters == sum(p.numel() for p in model.network.parameters())
    assert min(costs["vgg-0"].forward, costs["vgg-0"].gradient, costs["vgg-0"].update) > 0


@pytest.mark.parametrize(
    ("source", "architecture", "size"),
    [
        ("timm", "resnet18.a1_in1k", 224),
        ("torchvision", "squeezenet1_1", 224),
        ("robustness", "imagenet/resnet18", 224),
        ("file", "timm:resnet18", 224),
    ],
)
def test_what_has_no_weights_yet_can_be_planned(source, architecture, size):

    network, found = sources.blank(source, 7, architecture=architecture)
    assert found == size
    assert sum(p.numel() for p in network.parameters()) > 1e5


def test_times_are_written_in_a_unit_that_fits():
    said = [plan._time(hours) for hours in (0.001, 0.5, 5, 100, 1e5)]
    assert said == ["4 s", "30.0 min", "5.0 h", "4.2 days", "11.4 years"]


# what is kept, and devices that are not here


def test_what_was_timed_is_kept_for_the_same_device_and_network(monkeypatch, tmp_path):
    monkeypatch.setattr(network_costs, "TIMED_SECONDS", 0.001)
    study, kept, done = Study(TINY), tmp_path / "new" / "calibration.json", []
    first = network_costs.network_costs(study, kept=kept, progress=lambda *counts: done.append(counts))
    assert done == [(1, 2), (2, 2)], "vgg and mlp, each once"
    assert (
        network_costs.network_costs(study, kept=kept, progress=lambda *counts: done.append(counts)) == first
    )
    assert len(done) == 2
    wider = Study(TINY | {"training": {**TINY["training"], "width": 6}})
    network_costs.network_costs(wider, kept=kept, progress=lambda *counts: done.append(counts))
    assert len(done) == 4, "networks of another width are others"
    monkeypatch.setattr(network_costs.platform, "node", lambda: "another machine")
    network_costs.network_costs(study, kept=kept, progress=lambda *counts: done.append(counts))
    assert len(done) == 6
    assert network_costs.network_costs(study, kept=kept) != first


def test_an_interrupted_plan_goes_on(monkeypatch, tmp_path):
    examined = []

    def interrupted(*made, **_):
        if examined:
            raise KeyboardInterrupt
        examined.append(made)
        return COST

    monkeypatch.setattr(network_costs, "_examined", interrupted)
    with pytest.raises(KeyboardInterrupt):
        network_costs.network_costs(Study(TINY), kept=tmp_path / "c.json")
    monkeypatch.setattr(network_costs, "_examined", lambda *made, **_: examined.append(made) or COST)
    network_costs.network_costs(Study(TINY), kept=tmp_path / "c.json")
    assert len(examined) == 2
    assert not list(tmp_path.glob(".*"))


def test_a_damaged_file_of_times_is_named(tmp_path):
    (tmp_path / "c.json").write_text('{"a": {"forward": 1}}')
    with pytest.raises(ModelkinError, match="c.json is damaged .*; delete it"):
        network_costs.network_costs(Study(TINY), kept=tmp_path / "c.json")


def test_an_own_network_is_timed_again_when_its_code_changes(tmp_path):
    code = tmp_path / "nets.py"
    code.write_text("from torch import nn\n\ndef small():\n    return nn.Flatten()\n")
    entry = {"name": "own", "source": "file", "architecture": f"{code}:small", "weights": "x.pt"}
    study = Study(TINY | {"models": [*TINY["models"], entry]})
    before = network_costs._maker(study, "own", 10, (1, 8, 8))[1]
    code.write_text(code.read_text() + "# changed\n")
    assert network_costs._maker(study, "own", 10, (1, 8, 8))[1] != before


def test_a_device_that_is_not_here_is_reckoned_by_hand(monkeypatch):
    monkeypatch.setattr(network_costs, "_times", lambda *_: pytest.fail("a network was timed"))
    study = Study(TINY)
    cost = network_costs.network_costs(study, teraflops=2.0)["mlp-0"]
    model = building.new_model("mlp", channels=1, size=8, classes=10, width=4, representation=16)
    linear = [m for m in model.network.modules() if hasattr(m, "in_features")]
    products = sum(m.in_features * m.out_features for m in linear)
    assert cost.multiply_adds == products
    assert cost.forward == pytest.approx(2 * products / 2e12)
    assert [cost.gradient, cost.update] == pytest.approx([2 * cost.forward, 3 * cost.forward])


def test_a_head_that_the_entry_names_is_looked_at():
    """CrossViT averages two heads, so none makes the logits alone."""
    colour = {"mean": [0.5] * 3, "std": [0.25] * 3}
    architecture = {"source": "timm", "architecture": "crossvit_tiny_240", **colour}
    entries = [
        {"name": "a", **architecture, "head": "head.1"},
        {"name": "b", **architecture, "head": "head.0"},
    ]
    costs = network_costs.network_costs(Study(TINY | {"models": [*entries, *TINY["models"]]}), teraflops=1.0)
    assert [costs[name].width for name in "ab"] == [192, 96]


def test_a_network_that_does_not_take_the_images_is_one_sentence():
    entry = {"name": "colour", "source": "timm", "architecture": "resnet18"}
    with pytest.raises(
        ModelkinError, match=r"a ResNet of the study .* \(1, 224, 224\) .*`channels` may be wrong"
    ):
        network_costs.network_costs(Study(TINY | {"models": [entry, *TINY["models"]]}), teraflops=1.0)


def test_logits_and_saliency_maps_are_counted_on_disk(tiny):
    _, table = tiny
    values = 16 + 10  # representation and logits
    assert table.loc["activations_inverted", "gigabytes"] == pytest.approx(4 * 40 * 4**2 * values / 1e9)
    maps = 60 * 64
    assert table.loc["activations_natural", "gigabytes"] == pytest.approx(4 * 4 * (60 * values + maps) / 1e9)


def test_several_devices_are_bounded_by_the_longest_job(tiny):
    study, _ = tiny
    costs = dict.fromkeys(study.names, COST)
    even = plan.study_plan(study, costs, start=0.0)
    each = even["hours"].sum() / 2
    assert f"On 2 devices at once: {plan._time(each)} at least" in plan.plan_text(even, devices=2)
    costs["vgg-0"] = dataclasses.replace(COST, update=1e6)
    one = plan.study_plan(study, costs, start=0.0)
    longest = (2 * 1697 * 1e6 + 2 * 100) / 3600
    assert one["longest"].max() == pytest.approx(longest)
    assert f"On 9 devices at once: {plan._time(longest)} at least; the longest job takes" in plan.plan_text(
        one, devices=9
    )
    assert "at once" not in plan.plan_text(even)


def test_more_stitches_than_the_publication_are_told():
    section = {"pairs": "all", "start": ["random", "least_squares"], "repeats": 15}
    asking = {"adversarial": {"alpha": 1}}
    few, many = (
        Study({**copy.deepcopy(TINY), "stitching": section | {"objective": asked}})
        for asked in ("plain", ["plain", asking])
    )
    assert plan.plan_warnings(few) == []  # 12 pairs, 30 trainings, 8 blocks: 2,880
    (said,) = plan.plan_warnings(many)
    assert "12 pairs of 60 trainings each are about 5,760 stitches" in said
    assert plan.plan_warnings(Study(copy.deepcopy(TINY))) == []


def test_the_cheapest_batch_for_a_wanted_error_is_named(tiny):
    layers = {"maps": [{"models": ["vgg-0"]}], "estimator": {"batch": 20, "passes": 3}}
    study = Study({**TINY, "layers": layers, "plan_error": 0.03})
    cost = dataclasses.replace(COST, multiply_adds=1000, outputs=160)  # products of one with another: a tenth
    costs = dict.fromkeys(study.names, cost)
    said = plan.layer_batches(study, costs)
    assert "batches of 20 in 3 passes leave a value off by 0.02;" in said
    assert "for 0.03 batches of 32 in 1 are the cheapest, at 0.47 times their cost" in said
    table = plan.study_plan(study, costs, start=7.0).set_index("stage")
    forwards = 60 * 3 * 2  # with random weights too
    assert table.loc["layers_within", "hours"] == pytest.approx((forwards * (1 + 0.1 * 20) + 7) / 3600)
    assert plan.layer_batches(tiny[0], costs) == ""


def test_what_a_study_that_was_killed_has_is_counted(tmp_path):
    assert plan.finished_artifacts(tmp_path / "never begun") == 0
    for name in ("pairs", "models"):
        frames.write(
            tmp_path / "tables" / f"{name}.json",
            pd.DataFrame({"a": [1]}),
            stage="tables",
            version=1,
            settings={},
        )
    (tmp_path / "tables" / "models.json").write_text("{half")
    inside = tmp_path / "probes" / "natural.zarr"
    inside.mkdir(parents=True)
    (inside / "zarr.json").write_text((tmp_path / "tables" / "pairs.json").read_text())
    assert plan.finished_artifacts(tmp_path) == 1
