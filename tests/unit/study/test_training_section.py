"""The section `training`: what reaches a rule's params, what is refused, and which epochs are kept."""

import copy
from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT, TINY

from modelkin.errors import ModelkinError
from modelkin.operations.bundle.merging import merged_config
from modelkin.study.config import TRAINING_DEFAULTS, Study, configured_snapshots

SGD = {"optimiser": "sgd", "nesterov": True, "schedule": "step", "learning_rate": 0.1}


def config(own=None, **training):
    """The tiny study with these keys of training, and with own ones of its model mlp-0."""
    made = copy.deepcopy(TINY)
    made["training"] |= training
    if own is not None:
        made["models"][1]["training"] = own
    return made


def test_what_is_not_named_stands_in_no_params():
    """Studies that were finished before these keys were there stay finished."""
    assert Study(TINY).training("vgg-0.5") == {
        **{"epochs": 2, "batch_size": 64, "learning_rate": 6e-3, "weight_decay": 1e-4},
        **{"attack_steps": 3, "attack_step": 0.6667, "width": 4, "representation": 16},
        **{"architecture": "vgg", "recipe": "adversarial", "eps": 0.5, "norm": "l2"},
    }


def test_a_default_that_is_named_changes_nothing():
    named = {key: value for key, value in TRAINING_DEFAULTS.items() if key not in ("momentum", "nesterov")}
    del named["decay"], named["decay_at"]
    for name in TINY["models"]:
        assert Study(config(**named)).training(name["name"]) == Study(TINY).training(name["name"])


def test_what_is_named_reaches_the_models_that_use_it():
    study = Study(config({"optimiser": "adamw", "schedule": "one_cycle"}, **SGD, momentum=0.8, eps_ramp=0))
    assert study.training("vgg-0").items() >= {**SGD, "momentum": 0.8}.items()
    assert study.training("vgg-0.5")["eps_ramp"] == 0
    assert "eps_ramp" not in study.training("vgg-0")
    # A model that goes back to the default has nothing of what only the other choice takes.
    assert not {"optimiser", "momentum", "nesterov", "schedule"} & study.training("mlp-0").keys()
    assert study.training("mlp-0")["learning_rate"] == 0.1


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"optimizer": "sgd"}, "did you mean 'optimiser'"),
        ({"optimiser": "sdg"}, "did you mean 'sgd'"),
        ({"schedule": "one-cycle"}, "did you mean 'one_cycle'"),
        ({"momentum": 0.9}, "training: 'momentum' is not for optimiser adamw"),
        ({"optimiser": "adam", "nesterov": True}, "'nesterov' is not for optimiser adam"),
        ({"optimiser": "sgd", "momentum": 0, "nesterov": True}, "nesterov needs a momentum"),
        ({"optimiser": "sgd", "momentum": 1}, "less than 1"),
        ({"decay": 0.5}, "'decay' is not for schedule one_cycle"),
        ({"schedule": "step", "decay_at": [0.5, 0.2]}, "must ascend"),
        ({"schedule": "step", "decay_at": [2]}, "before the end, which is after 2"),
        ({"schedule": "step", "decay_at": 0.5}, "must be of type array"),
        ({"augment": {"crop": -1}}, r"training.augment.crop must be at least 0"),
        ({"augment": {"flp": True}}, "did you mean 'flip'"),
        ({"drop_last": True, "batch_size": 4000}, "drop_last leaves nothing of 1697"),
        ({"eps_ramp": 2}, "at most 1"),
        ({"snapshots": "al"}, "snapshots of model 'vgg-0' 'al'; did you mean 'all'"),
        ({"snapshots": {"evry": 5}}, "did you mean 'every'"),
        ({"snapshots": {"every": 0}}, "at least 1"),
        ({"snapshots": {}}, "training.snapshots lacks the key 'every'"),
        ({"snapshots": []}, "needs at least 1 entry"),
        ({"snapshots": [-1, 0]}, r"training.snapshots\[0\] must be at least 0"),
        ({"snapshots": [0.5]}, "of type integer"),
        ({"snapshots": [1, 0]}, r"the epochs \[1, 0\] must ascend, each once"),
        ({"snapshots": [1, 1]}, "must ascend, each once"),
        ({"snapshots": [0, 3]}, "epoch 3 is beyond its training, which has 2 epochs"),
        ({"snapshots": 5}, "must be of type string or array or object"),
    ],
)
def test_a_wrong_section_says_so(section, said):
    with pytest.raises(ModelkinError, match=said):
        Study(config(**section))


def test_a_wrong_key_of_a_model_names_it():
    with pytest.raises(ModelkinError, match="training of model 'mlp-0': 'momentum' is not for optimiser"):
        Study(config({"momentum": 0.5}))
    with pytest.raises(ModelkinError, match="snapshots of model 'mlp-0': epoch 2 is beyond"):
        Study(config({"epochs": 1, "snapshots": [0, 2]}))


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("none", []),
        ([0, 1, 5], [0, 1, 5]),
        ({"every": 3}, [0, 3, 6, 7]),
        ({"every": 7}, [0, 7]),
        ({"every": 50}, [0, 7]),
    ],
)
def test_which_epochs_are_kept(asked, kept):
    made = config({"snapshots": asked}, epochs=7)
    study = Study(made)
    assert study.snapshots("mlp-0") == kept == configured_snapshots(made, "mlp-0")
    assert study.with_snapshots == (["mlp-0"] if kept else [])
    assert study.snapshots("vgg-0") == [] == configured_snapshots(made, "vgg-0")
    whole = config(epochs=7, snapshots=asked)
    assert Study(whole).with_snapshots == ([entry["name"] for entry in TINY["models"]] if kept else [])
    assert configured_snapshots(whole, "mlp-0.5") == kept


def test_without_a_section_snapshots_are_of_the_default_training():
    made = {key: value for key, value in TINY.items() if key != "training"}
    made["models"] = [{**TINY["models"][0], "training": {"snapshots": {"every": 10}}}, *TINY["models"][1:]]
    assert configured_snapshots(made, "vgg-0") == [0, 10, 16] == Study(made).snapshots("vgg-0")


def test_asking_for_snapshots_changes_nothing_else():
    plain, asking = Study(TINY), Study(config({"snapshots": "all"}))
    assert [plain.training(name) for name in plain.names] == [asking.training(name) for name in plain.names]
    assert plain.describe(plain.active) == asking.describe(asking.active)


def test_models_from_elsewhere_have_no_snapshots():
    made = config(snapshots="all")
    made["models"][0] = {"name": "resnet", "source": "timm", "architecture": "resnet50"}
    assert Study(made).with_snapshots == ["mlp-0", "vgg-0.5", "mlp-0.5"]


def test_snapshots_are_judged_on_as_many_images_as_evaluation_attacks():
    assert Study(TINY).snapshot_images == 2000
    assert Study({**TINY, "evaluation": {"samples": 30}}).snapshot_images == 30


@pytest.mark.parametrize(("first", "second"), [({}, SGD), (SGD, {}), (SGD, {"optimiser": "adam"})])
def test_a_merged_study_trains_as_both_did(first, second):
    one = config(**first)
    two = config(**second, snapshots=[0, 1], drop_last=True)
    for entry in two["models"]:
        entry["name"] = f"{entry['name']}-two"
    del one["distillation"], two["distillation"]
    sources = [SimpleNamespace(config=made, study=Study(made)) for made in (one, two)]
    both = Study(merged_config(*sources))
    for source in sources:
        for name in source.study.names:
            assert both.training(name) == source.study.training(name), name
            assert both.snapshots(name) == source.study.snapshots(name), name


def test_the_recipe_of_the_docs_is_valid():
    page = (ROOT / "docs" / "config.md").read_text()
    (block,) = [part for part in page.split("```yaml\n") if part.startswith("training:\n")]
    section = yaml.safe_load(block.split("```")[0])["training"]
    found = Study(config(**section)).training("vgg-0.5")
    assert found["optimiser"] == "sgd"
    assert found["augment"] == {"crop": 4, "flip": True}
