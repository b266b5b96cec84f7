"""The section `layers`: what it asks for, and what is refused before any work."""

import copy

import pytest
from conftest import TINY

from modelkin.errors import ModelkinError
from modelkin.study.config import Study

TRAINING = {**TINY["training"], "snapshots": "all"}


def config(layers, **changes):
    return {**copy.deepcopy(TINY), "layers": layers, **changes}


def asked(maps=({"models": "all"},), **section):
    return config({"maps": list(maps), "estimator": {"batch": 20}, **section})


def test_a_study_that_names_nothing_asks_for_nothing():
    study = Study({key: value for key, value in TINY.items() if key != "layers"})
    assert study.layers is None
    assert [*study.layers_within, *study.layers_between, *study.layers_along_training] == []


def test_pairs_stand_in_order_of_arrival_each_once():
    study = Study(asked([{"between": [["vgg-0.5", "vgg-0"], ["vgg-0", "vgg-0.5"]]}, {"models": ["mlp-0"]}]))
    assert study.layers_between == [("vgg-0", "vgg-0.5")]
    assert study.layers_within == ["mlp-0"]
    assert len(Study(asked([{"between": "all"}])).layers_between) == 6


def test_defaults_and_settings_of_the_estimator():
    found = Study(
        config({}, probes={"natural": 100, "inverted": 40}) | {"layers": {"estimator": {"batch": 50}}}
    )
    assert found.layers["estimator"] == {"name": "minibatch", "batch": 50, "passes": 3}
    assert found.layers["images"] == ["natural"]
    assert found.layers["baseline"] == "untrained"
    assert Study(config({"estimator": {"name": "exact"}})).layers["estimator"] == {"name": "exact"}


def test_snapshots_of_all_are_of_those_that_are_kept():
    study = Study(asked(snapshots={"models": "all"}) | {"training": TRAINING})
    assert study.layers_along_training == [entry["name"] for entry in TINY["models"]]
    assert study.layers["snapshots"]["against"] == "last"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (asked([{"models": ["vgg"]}]), "unknown model in layers.maps 'vgg'; did you mean 'vgg-0'"),
        (asked([{"models": "al"}]), "unknown layers.maps 'al'; did you mean 'all'"),
        (asked([{"between": [["vgg-0", "vgg-0"]]}]), "layers.maps: between names 'vgg-0' twice"),
        (
            asked([{"between": [["vgg-0", "mlp"]]}]),
            "unknown model in layers.maps 'mlp'; did you mean 'mlp-0'",
        ),
        (asked([{"between": [["vgg-0"]]}]), r"layers.maps\[0\].between\[0\] needs at least 2 entries"),
        (asked(images=["natural", "adversarial:linf"]), "unknown kind in layers.images 'adversarial:linf'"),
        (asked(images=["adversarial"]), "natural ones are the baseline of all others"),
        (asked(procrustes=[["vgg-0", "vgg-0.5"]]), r"add {between: \[\[vgg-0, vgg-0.5\]\]} to layers.maps"),
        (asked([{"models": ["mlp-0"]}], procrustes=[["vgg-0", "vgg-0"]]), r"add {models: \[vgg-0\]}"),
        (asked(procrustes=[["vgg-0", "vgg"]]), "unknown model in layers.procrustes 'vgg'"),
        (
            config({"procrustes": [["vgg-0", "vgg-0"]], "estimator": {"name": "exact"}}),
            "layers.procrustes: Procrustes similarity is of batches",
        ),
        (asked(image=["natural"]), "unknown key in layers 'image'; did you mean 'images'"),
        (asked(estimator={"name": "minibach"}), "did you mean 'minibatch'"),
        (asked(estimator={"name": "exact", "batch": 5}), "'batch' is not for name exact"),
        (
            asked(estimator={"batch": 3}),
            "layers.estimator: the unbiased HSIC needs batches of at least 4 images",
        ),
        (
            asked(estimator={"batch": 64}),
            "there are 60 images, fewer than a batch of 64; ask for a smaller batch",
        ),
        (asked(snapshots={"models": "all"}), "layers.snapshots: no model's snapshots are kept"),
        (asked(snapshots={"models": ["vgg-0"]}), "no snapshots of 'vgg-0' are kept"),
        (asked(snapshots={"against": "first"}), "unknown layers.snapshots.against 'first'"),
    ],
)
def test_what_is_wrong_is_one_sentence(made, said):
    with pytest.raises(ModelkinError, match=said) as caught:
        Study(made)
    assert str(caught.value).count("\n") == 0


def test_adversarial_images_need_an_attack():
    made = asked(images=["natural", "adversarial"])
    del made["adversarial"]
    made["measures"] = ["linear_cka"]
    with pytest.raises(ModelkinError, match="'adversarial' needs attacks; add `adversarial: {}`"):
        Study(made)


def test_models_that_cannot_be_compared_are_named():
    made = asked([{"models": ["vgg-0"]}])
    made["models"][0]["retired"] = True
    with pytest.raises(ModelkinError, match="layers.maps: 'vgg-0' is retired; name another"):
        Study(made)
