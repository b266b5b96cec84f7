"""Checkpoints from anywhere: real ones load and score what they should, wrong ones are refused."""

import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY
from safetensors.torch import save_file

from modelkin.data import datasets
from modelkin.data.datasets import base
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks import architectures, building
from modelkin.networks.checkpoints import read_checkpoint
from modelkin.networks.weights import load_model, training_history, write_model
from modelkin.study.config import Study, read_study
from modelkin.training import evaluation

DATA = ROOT.parent / "shared" / "data"
IMAGES = {
    "cifar10": ("cifar10_lossless", {}),
    "mnist": ("mnist", {}),
    "fashion_mnist": ("fashion_mnist", {}),
    "gtsrb32_grey": ("gtsrb32", {"channels": 1}),
}
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the collection of real checkpoints")

NETWORKS = '''
import torch
from torch import nn


def small(classes=10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, classes))


class Functional(nn.Module):
    """The average before the head is no module."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 6, 3), nn.Linear(6, 10)

    def forward(self, x):
        return self.fc(self.conv(x).relu().mean((2, 3)))


class Colours(Functional):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)


class Squeezed(nn.Module):
    """The head is a 1 x 1 convolution, with pooling after it."""

    def __init__(self):
        super().__init__()
        self.features, self.final = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 10, 1)

    def forward(self, x):
        return self.final(self.features(x).relu()).relu().mean((2, 3))


class Beside(nn.Module):
    """The last linear layer does not make the logits: the image reaches them on another way."""

    def __init__(self):
        super().__init__()
        self.main, self.last = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x):
        return self.main(x.flatten(1)).tanh() + self.last(x.flatten(1))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(x.flatten(1)), x


def broken():
    raise KeyError("no such thing")


TABLE = {"small": small}
'''


@pytest.fixture
def networks(tmp_path):
    path = tmp_path / "networks.py"
    path.write_text(NETWORKS)
    return path


def saved(networks, name="small", path="weights.pt", wrap=lambda weights: weights):
    """A checkpoint of one of the networks, and the network."""
    torch.manual_seed(0)
    network = architectures.custom(f"{networks}:{name}").eval()
    torch.save(wrap(network.state_dict()), networks.parent / path)
    return networks.parent / path, network


EXAMPLE = torch.rand(3, 1, 8, 8, generator=torch.manual_seed(1))


def taken(path, architecture, example=EXAMPLE, **more):
    """The model of a file, for images like these."""
    images = Images(
        example.numpy(), np.arange(3), np.array(["a", "b", "c"]), [str(number) for number in range(10)]
    )
    return building.from_source("file", images, weights=str(path), architecture=architecture, **more)


# real ones


def real():
    if not DATA.is_dir():
        return []
    found = json.loads((DATA / "manifest.json").read_text())
    return [pytest.param(each, id=Path(each["file"]).stem) for each in found if each["data"] in IMAGES]


@needs_data
@pytest.mark.parametrize("given", real())
def test_a_real_checkpoint_scores_what_it_scored(given):
    name, more = IMAGES[given["data"]]
    test = datasets.load("npz", test=str(DATA / "images" / f"{name}.npz"), **more)["test"]
    test = test.select(test.ids[: given["n"]])
    model = building.from_source(
        "file",
        test,
        weights=str(DATA / given["file"]),
        architecture=f"{DATA / 'archs.py'}:ARCH[{given['arch']}]",
        mean=given["mean"],
        std=given["std"],
    )
    assert evaluation.model_accuracy(model, test) == pytest.approx(given["acc"], abs=0.02)
    x = torch.from_numpy(test.floats(slice(0, 4)))
    representation, logits = model.both(x)
    assert torch.allclose(representation, model.representation(x))
    assert torch.allclose(model.network.get_submodule(model.head)(representation), logits, atol=1e-4)


@pytest.mark.slow
@needs_data
def test_the_imagenet_models_score_what_they_scored(monkeypatch):
    """By timm, torchvision and an own file, at 224 and 160 pixels, from a folder of JPEGs."""
    monkeypatch.chdir(ROOT)
    study = read_study(ROOT / "tests" / "studies" / "imagenet.yaml")
    test = base.joined(datasets.load(**study.settings(study.dataset))["test"])
    given = {Path(each["file"]).name: each for each in json.loads((DATA / "manifest.json").read_text())}
    assert len(study.names) == 4
    for name in study.names:
        model = building.from_source(images=test, **study.entry(name))
        wanted = given[Path(study.models[name]["weights"]).name]["acc"]
        assert evaluation.model_accuracy(model, test) == pytest.approx(wanted, abs=0.02), name


@needs_data
@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "studies").glob("*.yaml")), ids=lambda path: path.stem
)
def test_real_studies_are_valid(path, tmp_path, monkeypatch):
    """Beside the data, as in the repository; what a study's head says has to be done before it is done."""
    (tmp_path / "shared").symlink_to(ROOT.parent / "shared")
    (tmp_path / "main").mkdir()
    monkeypatch.chdir(tmp_path / "main")
    for script in re.findall(r"#   python - <<'END'\n(.*?)#   END", path.read_text(), re.DOTALL):
        exec(compile(re.sub("^#   ", "", script, flags=re.MULTILINE), path.name, "exec"), {})
    assert len(read_study(path).models) >= 3


# what is found in them


WRAPS = {
    "bare": lambda w: w,
    "state_dict": lambda w: {"state_dict": w, "epoch": 3},
    "model": lambda w: {"model": w, "optimizer": {"lr": 0.1}},
    "net and module": lambda w: {"net": {f"module.{k}": v for k, v in w.items()}, "acc": 0.9},
    "half": lambda w: {k: v.half() for k, v in w.items()},
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_wrappers_are_opened(networks, wrap):
    path, network = saved(networks, wrap=WRAPS[wrap])
    weights = read_checkpoint(path)
    for name, value in network.state_dict().items():
        assert weights[name].dtype == torch.float32
        assert torch.allclose(weights[name], value, atol=1e-3)


def test_safetensors(networks):
    path, network = saved(networks)
    save_file(network.state_dict(), path.with_suffix(".safetensors"))
    assert read_checkpoint(path.with_suffix(".safetensors")).keys() == network.state_dict().keys()
    path.with_suffix(".safetensors").write_bytes(b"12345678")
    with pytest.raises(ModelkinError, match="not a whole safetensors file"):
        read_checkpoint(path.with_suffix(".safetensors"))


@pytest.mark.parametrize(
    ("name", "head", "width"),
    [("small", "4", 12), ("TABLE[small]", "4", 12), ("Functional", "fc", 6), ("Squeezed", "final", 216)],
)
def test_the_head_is_found(networks, name, head, width):
    path, network = saved(networks, name)
    model = taken(path, f"{networks}:{name}", mean=[0.5], std=[0.25])
    assert model.head == head
    assert model.representation(EXAMPLE).shape == (3, width)
    assert torch.allclose(model(EXAMPLE), network((EXAMPLE - 0.5) / 0.25), atol=1e-6)
    assert torch.equal(model.both(EXAMPLE)[0], model.representation(EXAMPLE))


def test_the_head_can_be_named(networks):
    path, _ = saved(networks, "Beside")
    with pytest.raises(ModelkinError, match="name the layer"):
        taken(path, f"{networks}:Beside")
    assert taken(path, f"{networks}:Beside", head="main").head == "main"
    with pytest.raises(ModelkinError, match="did you mean 'main'"):
        taken(path, f"{networks}:Beside", head="man")


def test_a_stored_import_is_the_same_model(networks, tmp_path):
    path, _ = saved(networks)
    model = taken(path, f"{networks}:small", mean=[0.1], std=[0.3])
    write_model(tmp_path / "m.json", model, [], stage="import", version=1)
    entry = {"source": "file", "architecture": f"{networks}:small"}
    back = load_model(tmp_path / "m.json", entry=entry)
    assert torch.equal(back(EXAMPLE), model(EXAMPLE))
    assert torch.equal(back.representation(EXAMPLE), model.representation(EXAMPLE))
    assert training_history(tmp_path / "m.json") == []


# what is refused


class Payload:
    """A pickle that does something when it is opened."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


DAMAGE = {
    "empty": (lambda b: b"", "is empty"),
    "truncated": (lambda b: b[: len(b) // 2], "damaged or not a checkpoint"),
    "random bytes": (lambda b: np.random.default_rng(0).bytes(5000), "damaged or not a checkpoint"),
    "web page": (lambda b: b"<!DOCTYPE html><html>404</html>", "is a web page"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_refused(networks, name):
    path, _ = saved(networks)
    change, said = DAMAGE[name]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ModelkinError, match=said) as found:
        read_checkpoint(path)
    assert "\n" not in str(found.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ModelkinError, match="does not exist"):
        read_checkpoint(tmp_path / "no.pt")
    with pytest.raises(ModelkinError, match="is a folder"):
        read_checkpoint(tmp_path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path, mark = tmp_path / "x.pt", tmp_path / "run"
    torch.save({"state_dict": Payload(mark)}, path)
    with pytest.raises(ModelkinError, match="trust_pickle: true"):
        read_checkpoint(path)
    assert not mark.exists()
    with pytest.raises(ModelkinError, match="no table of weights"):
        read_checkpoint(path, trust_pickle=True)
    assert mark.exists(), "with trust_pickle the code is run"


def test_a_wrong_digest_is_refused_before_the_file_is_opened(networks):
    path, _ = saved(networks)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    read_checkpoint(path, sha256=right.upper())
    with pytest.raises(ModelkinError, match=f"has sha256 {right}, not the one"):
        read_checkpoint(path, sha256="0" * 64)


def test_what_holds_no_weights(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pt")
    with pytest.raises(ModelkinError, match="no table of weights"):
        read_checkpoint(tmp_path / "x.pt")


def test_weights_that_do_not_fit(networks):
    path, _ = saved(networks, "Functional")
    with pytest.raises(
        ModelkinError, match="missing '1.weight', missing '1.bias', missing '4.weight' and 5 more"
    ):
        taken(path, f"{networks}:small")
    transposed, _ = saved(networks, wrap=lambda w: w | {"4.weight": w["4.weight"].T.clone()})
    with pytest.raises(ModelkinError, match=r"'4.weight' is \(12, 10\) and not \(10, 12\)"):
        taken(transposed, f"{networks}:small")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_nan_and_infinite_weights(networks, bad):
    path, _ = saved(networks, wrap=lambda w: w | {"4.bias": torch.full((10,), bad)})
    with pytest.raises(ModelkinError, match="NaN or infinite values, first in '4.bias'"):
        taken(path, f"{networks}:small")


def test_networks_that_do_not_take_or_give_what_they_should(networks):
    path, _ = saved(networks, "Pair")
    with pytest.raises(ModelkinError, match="returns tuple; it must return logits"):
        taken(path, f"{networks}:Pair")
    path, _ = saved(networks)
    with pytest.raises(ModelkinError, match=r"does not take images of shape \(3, 8, 8\)"):
        taken(path, f"{networks}:small", EXAMPLE.repeat(1, 3, 1, 1))
    with pytest.raises(ModelkinError, match=r"does not take images of shape \(3, 8, 8\)"):
        taken(path, f"{networks}:small", mean=[0, 0, 0])
    with pytest.raises(
        ModelkinError, match="mean or std has 2 numbers, .* give it 1, or 3 for a model of col"
    ):
        taken(path, f"{networks}:small", std=[1, 1])
    with pytest.raises(ModelkinError, match=r"takes 3 channels \(mean has 3 numbers, std 1\)"):
        taken(path, f"{networks}:small", mean=[0, 0, 0], std=[1])


def test_architectures_that_are_not_there(networks):
    for place, said in {
        f"{networks}:smal": "did you mean 'small'",
        f"{networks}:TABLE[smal]": "did you mean 'small'",
        f"{networks}:broken": "failed: KeyError",
        f"{networks.parent}/no.py:small": "does not exist",
        "resnet": "must be path/to/file.py:callable",
    }.items():
        with pytest.raises(ModelkinError, match=said):
            architectures.custom(place)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"architecture": "vgg"}, "source 'file' needs a weights"),
        ({"weights": "no.pt", "architecture": "a.py:b"}, "the architecture's file, a.py, does not exist"),
        ({"weights": str(ROOT / "LICENSE"), "architecture": "vgg"}, "must be path/to/file.py:callable"),
        (
            {"weights": "x.pt", "architecture": "a.py:b", "recipe": "trades"},
            "'recipe' is not for source 'file'",
        ),
        (
            {"source": "train", "architecture": "vgg", "weights": "x.pt"},
            "'weights' is not for source 'train'",
        ),
        ({"weights": "x.pt", "architecture": "a.py:b", "sha256": "12"}, "sha256"),
    ],
)
def test_wrong_entries(entry, said):
    made = dict(TINY, models=[*TINY["models"], {"name": "mine", "source": "file", **entry}])
    with pytest.raises(ModelkinError, match=said):
        Study(made)


def test_grey_and_colour_models_are_given_the_same_images_each_in_its_way(networks, tmp_path):
    """Explicitly, by the numbers of `mean`: of grey images copies, of colours the luminance."""
    path, _ = saved(networks)
    colours = torch.rand(len(EXAMPLE), 3, 8, 8, generator=torch.Generator().manual_seed(0))
    grey = taken(path, f"{networks}:small", colours, mean=[0.5], std=[0.25])
    alone = taken(path, f"{networks}:small", mean=[0.5], std=[0.25])
    light = (colours * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(grey(colours), alone(light), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grey.representation(colours), grey.representation(light))
    write_model(tmp_path / "grey.json", grey, [], stage="import", version=1)
    entry = {"source": "file", "architecture": f"{networks}:small"}
    torch.testing.assert_close(load_model(tmp_path / "grey.json", entry=entry)(colours), grey(colours))
    wanted = colours[:2].clone().requires_grad_()
    grey(wanted).sum().backward()
    assert wanted.grad.abs().amax((0, 2, 3)).min() > 0, "every colour can be descended"

    path, _ = saved(networks, "Colours")
    colour = taken(path, f"{networks}:Colours", mean=[0.1, 0.2, 0.3], std=[0.5] * 3)
    assert colour.blank(1).shape == (1, 3, 8, 8)
    torch.testing.assert_close(colour(EXAMPLE), colour(EXAMPLE.repeat(1, 3, 1, 1)))
