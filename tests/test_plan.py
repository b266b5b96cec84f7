"""The plan of a study: counted as the workflow counts, and said before anything runs."""

import copy

import pytest
from conftest import TINY, Study

from modelkin import config, models, plan

COST = plan.Cost(forward=1.0, gradient=10.0, update=100.0, parameters=1000, width=16, size=8, channels=1)


@pytest.fixture(scope="module")
def tiny():
    study = config.Study(TINY)
    return study, plan.plan(study, dict.fromkeys(study.names, COST), start=7.0).set_index("stage")


def test_jobs_are_those_of_a_dry_run(tiny, tmp_path):
    _, table = tiny
    rules = Study(tmp_path, TINY).planned()
    stages = {
        "train": ["train"],
        "evaluate": ["evaluate"],
        "invert": ["invert"],
        "activations, natural": ["activations_natural"],
        "activations, inverted": ["activations_inverted"],
        "attack": ["attack"],
        "activations, adversarial": ["activations_adversarial"],
        "similarity": ["similarity"],
        "distill": ["distill"],
        "dataset and probes": ["dataset", "probes"],
    }
    for stage, names in stages.items():
        assert table.loc[stage, "jobs"] == sum(rules[name] for name in names), stage


def test_passes_and_hours_are_counted_by_hand(tiny):
    _, table = tiny
    inverted = 4 * 40 * 21
    assert table.loc["invert", "passes"] == inverted
    assert table.loc["invert", "hours"] == pytest.approx((inverted * 10 + 4 * 7) / 3600)
    assert table.loc["activations, inverted", "passes"] == 40 * 4**2
    assert table.loc["activations, natural", "passes"] == 4 * (60 + 60)
    assert table.loc["attack", "passes"] == 4 * 60 * 5
    assert table.loc["activations, adversarial", "passes"] == 60 * 4**2
    standard, robust = 2 * 1697, 2 * 1697
    assert table.loc["train", "passes"] == 2 * standard + 2 * robust * (1 + 3)
    seconds = 2 * standard * 100 + 2 * robust * (100 + 3 * 10)
    assert table.loc["train", "hours"] == pytest.approx((seconds + 4 * 7) / 3600)
    assert table.loc["evaluate", "passes"] == 4 * (100 + 100 * 2)
    assert table.loc["invert", "gigabytes"] == pytest.approx(4 * 40 * 64 * 4 / 1e9)


def test_one_model_more_is_counted(tiny):
    study, table = tiny
    larger = study.with_one_more("more")
    assert larger.names == [*study.names, "more"]
    costs = dict.fromkeys(larger.names, COST)
    more = plan.plan(larger, costs, start=7.0)
    text = plan.written(table.reset_index(), more)
    assert "One more model like the last: 9 jobs beside tables and figures" in text
    assert "in all" in text


def test_another_dataset_is_counted():
    both = copy.deepcopy(TINY) | {
        "other_datasets": [{"label": "big", "name": "digits", "size": 10, "test": 80, "seed": 3}]
    }
    study = config.Study(both)
    table = plan.plan(study, dict.fromkeys(study.names, COST), start=7.0).set_index("stage")
    assert table.loc["invert", "jobs"] == table.loc["activations, inverted", "jobs"] == 8
    assert table.loc["activations, natural", "passes"] == 4 * (60 + 60) + 4 * 60


def test_networks_are_timed_once_for_each_kind(monkeypatch):
    monkeypatch.setattr(plan, "SECONDS", 0.001)
    study = config.Study(TINY)
    costs = plan.measured(study)
    assert costs["vgg-0"] is costs["vgg-0.5"]
    assert costs["vgg-0"] is not costs["mlp-0"]
    assert costs["vgg-0"].width == 16
    model = models.new("vgg", channels=1, size=8, classes=10, width=4, representation=16)
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
    from modelkin import sources

    network, found = sources.blank(source, 7, architecture=architecture)
    assert found == size
    assert sum(p.numel() for p in network.parameters()) > 1e5


def test_the_command_says_it(tmp_path):
    study = Study(tmp_path, TINY)
    said = study.make("plan")
    assert "Study 'tiny' on cpu, one job at a time, nothing computed yet:" in said
    assert "Longest: " in said
    assert not (study.results / "dataset.json").exists()


def test_times_are_written_in_a_unit_that_fits():
    assert [plan._time(hours) for hours in (0.001, 0.5, 5, 100)] == ["4 s", "30.0 min", "5.0 h", "4.2 days"]
