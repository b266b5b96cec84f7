"""A manifest that a stranger wrote: what it asks to be built, and what is built of it."""

import importlib.util
import json
import os
import py_compile

import pytest
import torch
from torch import nn

from modelkin.errors import ModelkinError
from modelkin.networks.building import new_model, rebuilt_model
from modelkin.networks.classifier import Classifier
from modelkin.networks.weights import load_model, write_model
from modelkin.store import digests, manifests

COLLECT = importlib.util.find_spec("torch.utils.collect_env").origin
SMALL = "from torch import nn\n\n\ndef small():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
FORMED = {"head": "1", "mean": [0.0], "std": [1.0], "size": 8, "resize": "bilinear", "classes": 10}
TIMM = {"architecture": "resnet18", "classes": 10, "options": {}}


def built(source, network, **more):
    return {"source": source, "network": network, **FORMED, **more}


def stored(folder, build, outside=None):
    """A stored model whose manifest says that it was built like this; all digests are in order."""
    model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "1", [0.0], [1.0], 8)
    model.build, model.origin = {"source": "file"}, {"origin": "x", "interpolation": None, "crop": None}
    write_model(folder / "m.json", model, [], stage="import", version=1)
    made = manifests.read(folder / "m.json")
    made["facts"]["build"] = build
    if outside:
        made["outside"] = outside
    made[manifests.OWN] = manifests.own_digest(made)
    (folder / "m.json").write_text(manifests.text_of(made))
    assert manifests.read_intact(folder / "m.json") is not None
    return folder / "m.json"


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "run"


def test_a_function_of_an_installed_library_is_not_run(tmp_path, mark):
    """torch's own collect_env.run gives its argument to a shell."""
    path = stored(
        tmp_path, built("file", {"architecture": f"{COLLECT}:run", "options": {"command": f"touch {mark}"}})
    )
    with pytest.raises(ModelkinError, match="whose code would be run; if you trust it, say so"):
        load_model(path)
    assert not mark.exists()


def test_a_file_inside_a_store_is_not_run(tmp_path, mark):
    path = stored(tmp_path, built("file", {"architecture": f"{tmp_path}/m/x.py:small", "options": {}}))
    (tmp_path / "m" / "x.py").write_text(f"open({str(mark)!r}, 'w')\n{SMALL}")
    with pytest.raises(ModelkinError, match="whose code would be run"):
        load_model(path)
    assert not mark.exists()


def test_an_own_file_is_run_only_if_the_entry_names_it(tmp_path):
    nets, place = tmp_path / "nets.py", f"{tmp_path}/nets.py:small"
    nets.write_text(SMALL)
    path = stored(tmp_path, built("file", {"architecture": place, "options": {}}))
    entry = {"source": "file", "architecture": place}
    assert load_model(path, entry=entry)(torch.zeros(1, 1, 8, 8)).shape == (1, 10)
    for other in (
        {"architecture": f"{tmp_path}/nets.py:large"},
        {"source": "timm"},
        {"options": {"width": 3}},
    ):
        with pytest.raises(ModelkinError, match="but the config's entry says otherwise"):
            load_model(path, entry=entry | other)


def test_an_own_file_must_be_the_one_that_was_taken_in(tmp_path, mark):
    nets, place = tmp_path / "nets.py", f"{tmp_path}/nets.py:small"
    nets.write_text(SMALL)
    outside = {str(nets): {"sha256": digests.digest_of(nets), "bytes": len(SMALL), "files": 1}}
    path = stored(tmp_path, built("file", {"architecture": place, "options": {}}), outside)
    entry = {"source": "file", "architecture": place}
    load_model(path, entry=entry)
    nets.write_text(f"open({str(mark)!r}, 'w')\n{SMALL}")
    with pytest.raises(ModelkinError, match="is not the one that the model was taken in with"):
        load_model(path, entry=entry)
    assert not mark.exists()


def test_what_lies_in_the_cache_beside_an_own_file_is_not_run(tmp_path, mark):
    """Python would take a compiled file of the same time and size for the source."""
    nets = tmp_path / "nets.py"
    evil = f"open({str(mark)!r}, 'w')\n{SMALL}"
    nets.write_text(evil)
    assert py_compile.compile(str(nets))
    status = nets.stat()
    nets.write_text(SMALL.ljust(len(evil)))
    os.utime(nets, ns=(status.st_atime_ns, status.st_mtime_ns))
    place = f"{nets}:small"
    path = stored(tmp_path, built("file", {"architecture": place, "options": {}}))
    load_model(path, entry={"source": "file", "architecture": place})
    assert not mark.exists()


GARBAGE = {
    "nothing": None,
    "a list": [],
    "a text": "resnet18",
    "no keys": {},
    "a source of nothing": {"source": "sources"},
    "trained, no keys": {"source": "train"},
    "trained, more keys": {"source": "train", "architecture": "vgg", "x": 1},
    "trained, another architecture": {
        **{"source": "train", "architecture": "os", "channels": 1, "size": 8, "classes": 10},
        **{"width": 4, "representation": 16},
    },
    "trained, a width of text": {
        **{"source": "train", "architecture": "vgg", "channels": 1, "size": 8, "classes": 10},
        **{"width": "4", "representation": 16},
    },
    "trained, too wide": {
        **{"source": "train", "architecture": "vgg", "channels": 1, "size": 8, "classes": 10},
        **{"width": 10**12, "representation": 16},
    },
    "an unknown source": built("os", TIMM),
    "the source train": built("train", TIMM),
    "a network of text": built("timm", "resnet18"),
    "no architecture": built("timm", {"classes": 10, "options": {}}),
    "an architecture of numbers": built("timm", TIMM | {"architecture": 18}),
    "classes of text": built("timm", TIMM | {"classes": "10"}),
    "no classes": built("timm", TIMM | {"classes": -1}),
    "options of a list": built("timm", TIMM | {"options": [1]}),
    "a hub": built("timm", TIMM | {"architecture": "hf-hub:somebody/something"}),
    "a folder": built("timm", TIMM | {"architecture": "local-dir:/tmp"}),
    "an unknown network": built("timm", TIMM | {"architecture": "resnet99"}),
    "a checkpoint": built("timm", TIMM | {"options": {"checkpoint_path": "x.pth"}}),
    "weights": built("timm", TIMM | {"options": {"pretrained": True}}),
    "weights' config": built("timm", TIMM | {"options": {"pretrained_cfg": {"url": "http://x"}}}),
    "an option of a path": built("timm", TIMM | {"options": {"act_layer": "../x"}}),
    "an option that is unknown": built("timm", TIMM | {"options": {"no_such_thing": 1}}),
    "an option of another type": built("timm", TIMM | {"options": {"in_chans": [1, 2]}}),
    "taken in, more keys": built("timm", TIMM, x=1),
    "an option inside an option": built("timm", TIMM | {"options": {"args": {"pretrained": True}}}),
    "an option of a huge number": built("timm", TIMM | {"options": {"in_chans": 10**12}}),
    "an option of a strange name": built("timm", TIMM | {"options": {"a/b": 1}}),
    "options of robustness": built(
        "robustness", {"architecture": "cifar/resnet18", "classes": 10, "options": {"x": 1}}
    ),
    "torchvision's weights": built("torchvision", TIMM | {"options": {"weights_backbone": "DEFAULT"}}),
    "a function of torchvision": built("torchvision", TIMM | {"architecture": "get_model"}),
    "a family of robustness": built("robustness", {"architecture": "os/system", "classes": 10}),
    "a function of robustness": built("robustness", {"architecture": "cifar/load_state_dict", "classes": 10}),
    "robustbench": built(
        "robustbench", {"architecture": "Carmon2019Unlabeled", "options": {"model_dir": "/tmp"}}
    ),
    "a library of nothing": built("file", TIMM | {"library": "os"}),
    "a library of another source": built("timm", TIMM | {"library": "torchvision"}),
    "a library's hub": built("file", TIMM | {"library": "timm", "architecture": "hf-hub:a/b"}),
    "a digest": built("file", {"architecture": "x.py:y", "options": {}, "sha256": "0"}),
    "a head of nothing": built("timm", TIMM, head="fc.nothing"),
    "a head of a number": built("timm", TIMM, head=3),
    "a mean of text": built("timm", TIMM, mean="0"),
    "a mean of NaN": built("timm", TIMM, mean=[float("nan")]),
    "a std of another length": built("timm", TIMM, std=[1.0, 1.0]),
    "no size": built("timm", TIMM, size=0),
    "a resize of nothing": built("timm", TIMM, resize="own"),
}


# What is said of them, so that each check answers for itself and not the next one behind it.
SAID = dict.fromkeys(
    ("nothing", "a list", "a text", "no keys", "a source of nothing", "trained, no keys"),
    "does not say what a model is built of",
)
SAID |= dict.fromkeys(
    ("trained, more keys", "taken in, more keys", "the source train"), "does not say what a model is built of"
)
SAID |= {
    "trained, another architecture": "names no architecture of ours",
    "trained, a width of text": "has no usable width",
    "trained, too wide": "has no usable width",
    "an unknown source": "names no source that there is",
    "a network of text": "names no network",
    "no architecture": "does not say what its source needs, or says more",
    "a digest": "does not say what its source needs, or says more",
    "an architecture of numbers": "has no usable architecture or options",
    "options of a list": "has no usable architecture or options",
    "classes of text": "has no usable classes",
    "no classes": "has no usable classes",
    "an option that is unknown": "timm cannot build 'resnet18'",
    "an option of another type": "timm cannot build 'resnet18'",
    "a function of torchvision": "unknown classification model of torchvision",
    "a family of robustness": "unknown family of the robustness library",
    "a function of robustness": "unknown architecture of the robustness library",
    "options of robustness": "does not say what its source needs, or says more",
    "robustbench": "whose code would be run",
    "a library of nothing": "names the library 'os'",
    "a library of another source": "names the library 'torchvision'",
    "a head of nothing": "has no layer 'fc.nothing'",
    "a head of a number": "has no usable head or resize",
    "a resize of nothing": "has no usable head or resize",
    "no size": "has no usable size",
    "a std of another length": "has no usable std",
}
SAID |= dict.fromkeys(("a mean of text", "a mean of NaN"), "has no usable mean")
SAID |= dict.fromkeys(
    ("a hub", "a folder", "an unknown network", "a library's hub"), "unknown architecture of timm"
)


@pytest.mark.parametrize("what", GARBAGE)
def test_a_build_of_garbage_is_refused_in_a_sentence(what):
    with pytest.raises(ModelkinError) as caught:
        rebuilt_model(json.loads(json.dumps(GARBAGE[what])))
    assert "\n" not in str(caught.value)
    assert SAID.get(what, "which is no plain value or reaches out of the library") in str(caught.value)


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("timm", TIMM | {"options": {"drop_rate": 0.1, "in_chans": 1}}),
        ("torchvision", TIMM | {"options": {"zero_init_residual": True}}),
        ("robustness", {"architecture": "imagenet/resnet18", "classes": 10}),
        ("file", TIMM | {"library": "timm"}),
    ],
)
def test_what_our_sources_write_is_built_again(source, network):
    assert rebuilt_model(built(source, network, head="fc")).head == "fc"


def test_our_own_are_built_again():
    model = new_model("vgg", channels=1, size=8, classes=10, width=4, representation=16)
    assert rebuilt_model(json.loads(json.dumps(model.build))).head == model.head
