"""What jobs ask of a scheduler follows the sizes of the study, and is moderate for small ones."""

import copy

import pytest
import yaml
from conftest import ROOT, TINY

from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.operations import resources, stages
from modelkin.study.config import Study

TIMM = {"name": "elsewhere", "source": "timm", "architecture": "resnet50"}


def study(**sections) -> Study:
    return Study({**copy.deepcopy(TINY), "device": "auto", **sections})


def like_imagenet() -> Study:
    """A study whose dataset has ImageNet's sizes, and large probes of it."""
    found = study(models=[*TINY["models"], TIMM])
    found.section("probes").update(natural=10_000, inverted=10_000)
    found.counts["digits"] = {"train": 1_281_167, "test": 50_000, "classes": 1000, "size": 224}
    return found


def test_the_default_study_asks_for_little():
    default = Study(yaml.safe_load((ROOT / "config.yaml").read_text()))
    for stage in (stage for stage in stages.STAGES if stage.is_made(default)):
        about = stage.subjects(default)[-1].model if stage.name == "stitch" else "mlp-1"
        assert 2000 <= resources.memory(default, stage.name, about, partner="mlp-0") <= 3100, stage.name
        assert 10 <= resources.minutes(default, stage.name, about, partner="mlp-0") <= 61, stage.name


def test_inversion_is_counted_by_hand():
    large = study(probes={"natural": 60, "inverted": 100}, inversion={"steps": 2000})
    assert resources.minutes(large, "invert", "vgg-0") == 10 + 2  # 200,100 passes of .3 ms
    large.counts["digits"]["size"] = 224
    assert resources.minutes(large, "invert", "vgg-0") == 10 + 17  # of 5 ms


@pytest.mark.parametrize(
    ("stage", "larger"),
    [
        ("train", {"training": {"epochs": 2000}}),
        ("distill", {"distillation": {"student": "mlp-0", "repeats": 500}}),
        ("evaluate", {"evaluation": {"steps": 5000}}),
        ("evaluate", {"evaluation": {"autoattack": 100}}),
        ("invert", {"inversion": {"steps": 10_000}}),
        ("attack", {"adversarial": {"steps": 5, "starts": 2000}}),
        ("similarity", {"chance": {"permutations": 10_000_000}}),
        ("invert", {"models": [*TINY["models"][:3], {**TIMM, "name": "mlp-0.5", "size": 2400}]}),
        ("train", {"device": "cpu", "dataset": {"name": "digits", "size": 64, "test": 100}}),
    ],
)
def test_more_work_asks_for_more_time(stage, larger):
    last = TINY["models"][-1]["name"]
    assert resources.minutes(study(**larger), stage, last) > resources.minutes(study(), stage, last)


def test_attacks_count_in_training():
    found = study(training={"epochs": 5000})
    attacked = 5000 * 3 * found.counts["digits"]["train"]
    more = resources.minutes(found, "train", "vgg-0.5") - resources.minutes(found, "train", "vgg-0")
    assert more == pytest.approx(attacked * resources.LEAST / 60, abs=1)


def test_a_shell_grows_with_the_models_before_it():
    found = like_imagenet()
    for stage in ("activations_inverted", "activations_adversarial", "similarity"):
        first, last = (resources.minutes(found, stage, name) - 10 for name in ("vgg-0", "elsewhere"))
        assert last > 2 * first, stage


def test_memory_holds_what_the_stage_holds():
    small, large = study(), like_imagenet()
    split = 1_281_167 * 3 * 224**2 * 4 / 1e6
    assert resources.memory(large, "train", "vgg-0") == pytest.approx(3000 + 2000 + split, abs=1)
    assert resources.memory(large, "dataset") > 2 * split
    for stage, more in {"probes": 0, "similarity": 2000, "ensembles": 0}.items():
        assert resources.memory(large, stage, "elsewhere") > more + resources.memory(small, stage, "vgg-0"), (
            stage
        )
    assert resources.memory(large, "figures") == resources.memory(small, "figures") == 2000


def test_memory_holds_a_number_for_every_pair_of_samples():
    wide, square = like_imagenet(), like_imagenet()
    wide.measures = [ConfiguredMeasure("linear_cka"), ConfiguredMeasure("procrustes")]
    square.measures = [ConfiguredMeasure("linear_cka"), ConfiguredMeasure("rsa")]
    least, more = (resources.memory(each, "similarity", "elsewhere") for each in (wide, square))
    assert more - least == pytest.approx(6 * 8 * 10_000**2 / 1e6, abs=2)


def test_decoded_datasets_are_held_in_bytes(monkeypatch):
    large = like_imagenet()
    floats = resources.memory(large, "train", "vgg-0")
    monkeypatch.setattr(large, "settings", lambda label: {"name": "folder"})
    assert resources.memory(large, "train", "vgg-0") - 5000 == pytest.approx((floats - 5000) / 4, abs=1)


def test_another_dataset_has_its_own_size():
    found = study(other_datasets=[{"label": "more", "name": "digits", "size": 128, "test": 100}])
    assert resources.side(found, "vgg-0", "digits") == 8
    assert resources.side(found, "vgg-0", "more") == 128
    assert resources.memory(found, "dataset", "", "more") > resources.memory(found, "dataset")
