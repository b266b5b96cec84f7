"""Results of another device or precision are not put beside finished ones in silence."""

import copy

import pytest
from conftest import TINY

from modelkin.operations import mixed_devices
from modelkin.operations.mixed_devices import mixtures
from modelkin.study.config import Study


def asked(**keys):
    return Study({**copy.deepcopy(TINY), **keys})


def made(**devices):
    """Manifests of natural activations, and of whatever else is named with its stage."""
    return {
        name: {"stage": "activations", "device": device} if isinstance(device, str) else device
        for name, device in devices.items()
    }


def mixed(coming, finished, study, remote=False):
    return mixtures(coming, finished, finished.get, study, remote)


COMING = {"activations": ["activations/natural/new.json"], "train": ["models/new.json"]}


@pytest.mark.parametrize(
    ("was", "keys", "told"),
    [
        ("cpu", {"device": "cpu"}, None),
        ("cuda", {"device": "cuda:1"}, None),
        ("cuda bf16", {"device": "cuda", "precision": "bf16"}, None),
        ("cuda", {"device": "cpu"}, "on cuda in float32, and the coming ones would be on cpu in float32"),
        ("cuda bf16", {"device": "cuda"}, "on cuda in bf16, and the coming ones would be on cuda in float32"),
        (
            "cpu",
            {"device": "cpu", "precision": "bf16"},
            "in float32, and the coming ones would be on cpu in bf16",
        ),
        ("cpu", {"device": "cpu", "precision": "tf32"}, None),  # which is for GPUs
    ],
)
def test_what_differs_is_told(was, keys, told):
    found = mixed(COMING, made(a=was), asked(**keys))
    if told is None:
        assert found == []
    else:
        (one,) = found
        assert one.stage == "activations"
        said = mixed_devices.mixture_sentence(found, "results/tiny")
        assert told in said
        assert "results/tiny/a" in said
        assert "mixed_devices: true" in said


def test_only_artifacts_of_the_same_stage_are_a_mixture():
    """Models may be trained on a cluster and compared on a laptop."""
    finished = made(a={"stage": "train", "device": "cuda"}, b={"stage": "similarity"}, c=None)
    assert mixed({"activations": ["x"]}, finished, asked()) == []
    assert mixed({}, made(a="cuda"), asked()) == [], "tables and figures alone are made anywhere"
    assert [each.stage for each in mixed(COMING, finished, asked())] == ["train"]


def test_models_that_are_taken_in_are_the_same_everywhere():
    finished = made(a={"stage": "import", "device": "cuda bf16"})
    assert mixed({"import": ["models/new.json"]}, finished, asked()) == []
    assert mixed_devices.beside_each_other(finished | {"b": {"stage": "import", "device": "cpu"}}) == {}


def test_the_device_of_other_machines_is_not_known_but_their_precision_is(monkeypatch):
    monkeypatch.setattr(mixed_devices, "_device_here", lambda: "cpu")
    study = asked(device="auto")
    assert mixed(COMING, made(a="cuda"), study)
    assert mixed(COMING, made(a="cuda"), study, remote=True) == []
    (found,) = mixed(COMING, made(a="cuda tf32"), study, remote=True)
    assert "would be on some device in float32" in mixed_devices.mixture_sentence([found], "r")


@pytest.mark.parametrize("there", [False, True])
def test_a_gpu_that_is_there_is_taken(monkeypatch, there):
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert mixed_devices.device_now(asked(device="auto"), remote=False) == ("cuda" if there else "cpu")


def test_what_tells_no_device_is_not_compared():
    finished = {"a": {"stage": "activations"}}
    assert mixed(COMING, finished, asked(device="cpu")) == []
    assert mixed_devices.beside_each_other(finished | {"b": {"stage": "activations", "device": "cpu"}}) == {}


def test_other_stages_that_are_mixed_are_named():
    found = mixed(COMING, made(a="cuda", b={"stage": "train", "device": "cuda"}), asked(device="cpu"))
    assert "tables; so it is with train; go on" in mixed_devices.mixture_sentence(found, "r")
    assert "the same tables; go on" in mixed_devices.mixture_sentence(found[:1], "r")


def test_torch_is_not_asked_for_where_nothing_can_be_mixed(monkeypatch):
    monkeypatch.setattr(mixed_devices, "_device_here", None)
    assert mixed(COMING, made(c=None), asked(device="auto")) == []


def test_what_stands_beside_each_other_is_counted():
    alone = {"stage": "train", "device": "cpu"}
    found = mixed_devices.beside_each_other(made(a="cuda bf16", b="cpu", c="cpu", d=None, e=alone))
    assert found == {"activations": {"cuda bf16": 1, "cpu": 2}}
    said = mixed_devices.beside_sentence(found)
    assert "activations on cuda in bf16 (1) and cpu in float32 (2)" in said
