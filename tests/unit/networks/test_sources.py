"""Models from wherever the field keeps them: their head, their split points, what they take and are."""

import json
import shutil
import sys
import types

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks import building, classifier, hub, sources, tracing
from modelkin.networks.card import weights_digest
from modelkin.networks.checkpoints import read_checkpoint
from modelkin.networks.folding import fold_batch_norms
from modelkin.networks.weights import load_model, write_model
from modelkin.operations import changed_inputs


def pictures(classes=7, channels=3, size=40, n=5):
    rng = np.random.default_rng(0)
    names = [str(number) for number in range(classes)]
    ids = np.array([f"s{i}" for i in range(n)])
    return Images(rng.random((n, channels, size, size), np.float32), np.arange(n) % classes, ids, names)


def tensor(images):
    return torch.from_numpy(images.floats())


def weights_of(network, folder, wrap=lambda weights: weights, name="w.pt"):
    torch.save(wrap(network.state_dict()), folder / name)
    return str(folder / name)


# the head, of every way in which people write classifiers


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 6, 3), nn.Linear(6, 7)

    def forward(self, x):
        return self.fc(self.conv(x).relu().mean((2, 3)))


def torchvision_(name):
    return lambda: torchvision.models.get_model(name, weights=None, num_classes=7)


def timm_(name, **more):
    return lambda: timm.create_model(name, num_classes=7, **more)


NETWORKS = {
    "sequential": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 7)), "2", 32),
    "functional": (Functional, "fc", 32),
    "torchvision resnet": (torchvision_("resnet18"), "fc", 64),
    "torchvision mobilenet": (torchvision_("mobilenet_v2"), "classifier.1", 64),
    "torchvision densenet": (torchvision_("densenet121"), "classifier", 64),
    "torchvision squeezenet": (torchvision_("squeezenet1_1"), "classifier.1", 64),
    "torchvision vit": (torchvision_("vit_b_32"), "heads.head", 224),
    "torchvision swin": (torchvision_("swin_t"), "head", 64),
    "timm resnet": (timm_("resnet18"), "fc", 64),
    "timm vit": (timm_("vit_tiny_patch16_224", img_size=64), "head", 64),
    "timm convnext": (timm_("convnext_atto"), "head.fc", 64),
    "timm mixer": (timm_("mixer_s32_224"), "head", 224),
    "timm mobilenetv3 (1 x 1 convolution before pooled head)": (
        timm_("mobilenetv3_small_050"),
        "classifier",
        64,
    ),
    "timm nfnet": (timm_("nf_resnet26"), "head.fc", 64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_head_and_split_points_of_real_architectures(name):
    torch.manual_seed(0)
    make, head, size = NETWORKS[name]
    network = classifier.frozen(make())
    x = torch.rand(2, 3, size, size)
    assert tracing.find_head(network, x) == head
    model = classifier.Classifier(network, head, [0.0] * 3, [1.0] * 3, size)
    representation, logits = model.both(x)
    with torch.no_grad():
        given = network.get_submodule(head)
        seen = {}
        handle = given.register_forward_hook(lambda module, inputs, output: seen.update(x=inputs[0]))
        assert torch.equal(network(x), logits)
        handle.remove()
    assert torch.equal(seen["x"].flatten(1), representation)
    points = model.split_points()
    assert points
    assert len({point.name for point in points}) == len(points)
    # The definition: with a point's output put in its place, nothing of the image is needed any more.
    for point in (points[0], points[len(points) // 2], points[-1]):
        assert replaced(network, point.name, x) < 1e-4 * (1 + float(logits.abs().max()))


@torch.no_grad()
def replaced(network, name, x):
    """How far the logits of a blank image are from those of x when a module gives what it gave for x."""
    kept = {}
    module = network.get_submodule(name)
    handle = module.register_forward_hook(lambda module, inputs, output: kept.update(x=output))
    wanted = network(x)
    handle.remove()
    handle = module.register_forward_hook(lambda module, inputs, output: kept["x"])
    found = network(torch.zeros_like(x))
    handle.remove()
    return float((found - wanted).abs().max())


def test_split_points_are_blocks_and_never_inside_a_skip():
    network = classifier.frozen(torchvision.models.resnet18(weights=None))
    points = tracing.split_points(network, torch.rand(1, 3, 64, 64))
    names = [point.name for point in points]
    # In torchvision's code relu and maxpool are modules; relu works in place, so bn1 gives the same tensor.
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    inside = [name for name in names if name.startswith("layer") and name.count(".") > 1]
    assert not inside
    outer = [name if "." in name else f"{name}.1" for name in names if name.startswith("layer")]
    assert outer == blocks, "a stage and its last block are one point, named after the stage"
    assert names[0] == "conv1"
    assert names[-1] == "avgpool"
    shapes = {point.name: (point.shape, point.resolution) for point in points}
    assert shapes["layer2"] == ((128, 8, 8), (8, 8))
    with torch.no_grad():
        assert replaced(network, "layer2.0.conv1", torch.rand(1, 3, 64, 64)) > 1e-3, "a skip leads past it"


def test_multiply_adds_are_those_of_the_definition():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 100, 5))
    assert tracing.multiply_adds(network, torch.rand(3, 3, 10, 10)) == 8 * 3 * 9 * 100 + 800 * 5
    # The published 1.82 G of ResNet-18 at 224 pixels.
    assert tracing.multiply_adds(torchvision.models.resnet18(), torch.rand(1, 3, 224, 224)) == pytest.approx(
        1.82e9, rel=0.01
    )


# sizes


def test_images_of_another_size_are_scaled_for_the_model():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 7))
    model = classifier.Classifier(network, "1", [0.0] * 3, [1.0] * 3, 8)
    x = torch.rand(2, 3, 20, 20, requires_grad=True)
    small = torch.nn.functional.interpolate(x, (8, 8), mode="bilinear", antialias=True).clamp(0, 1)
    assert torch.equal(model(x), network(small))
    (gradient,) = torch.autograd.grad(model(x).sum(), x)
    assert gradient.shape == x.shape
    assert (gradient.abs().sum() > 0).item()
    for method in classifier.RESIZING:
        found = classifier.resized(x, 31, method)
        assert found.shape == (2, 3, 31, 31)
        assert 0 <= float(found.detach().min()) <= float(found.detach().max()) <= 1
    ways = [classifier.resized(x, 31, method).detach() for method in classifier.RESIZING]
    assert all((a - b).abs().max() > 1e-3 for a, b in ((ways[0], ways[1]), (ways[1], ways[2])))
    double = x.detach().repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(classifier.resized(x, 40, "nearest").detach(), double)
    assert classifier.resized(x, 20) is x


@pytest.mark.parametrize("method", classifier.RESIZING)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_black_and_white_pixels_have_a_gradient_through_resizing(method, value):
    """torch's clamp gives none to pixels at its bounds, and many images are black around the object."""
    x = torch.full((1, 1, 16, 16), value, requires_grad=True)
    classifier.resized(x, 8, method).sum().backward()
    plain = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    classifier.resized(plain, 8, method).sum().backward()
    assert torch.equal(x.grad, plain.grad)
    assert x.grad.sum() == pytest.approx(64, rel=1e-4)


# timm


def test_timm_with_a_local_file(tmp_path):
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=7).eval()
    path = weights_of(network, tmp_path, lambda w: {"state_dict": {f"module.{k}": v for k, v in w.items()}})
    model = building.from_source("timm", pictures(), architecture="resnet18", weights=path, size=32)
    x = classifier.resized(tensor(pictures()), 32)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        assert torch.allclose(model(tensor(pictures())), network((x - mean) / std), atol=1e-4)
    write_model(tmp_path / "m.json", model, [], stage="import", version=1)
    back = load_model(tmp_path / "m.json")
    assert torch.equal(back(x), model(x))
    facts = json.loads((tmp_path / "m.json").read_text())["facts"]
    assert (facts["size"], facts["head"], facts["width"]) == (32, "fc", 512)
    known = timm.data.resolve_model_data_config(network)
    assert (facts["interpolation"], facts["crop"]) == (known["interpolation"], known["crop_pct"])
    assert facts["weights"] == weights_digest(network)


def test_timm_uses_its_data_config_and_hub_folders(tmp_path):
    """A folder as the hub holds it: config.json beside the weights."""
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=7, act_layer="silu").eval()
    about = {
        "architecture": "resnet18",
        "num_classes": 7,
        "model_args": {"act_layer": "silu"},
        "pretrained_cfg": {
            "input_size": [3, 48, 48],
            "interpolation": "bicubic",
            "crop_pct": 0.9,
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.3, 0.4],
            "first_conv": "conv1",
            "classifier": "fc",
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(about))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    model = building.from_source("timm", pictures(), architecture=f"local-dir:{tmp_path}", resize="own")
    assert (model.size, model.resize) == (48, "bicubic")
    assert model.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
    x = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        assert torch.allclose(model.network(x), network(x), atol=1e-5)
    file = {"architecture": f"local-dir:{tmp_path}", "weights": str(tmp_path / "model.safetensors")}
    by_file = building.from_source("timm", pictures(), **file)
    assert torch.equal(by_file.network(x), model.network(x)), "the folder's keywords build the network"
    write_model(tmp_path / "m.json", model, [], stage="import", version=1)
    (tmp_path / "model.safetensors").unlink()
    assert torch.equal(load_model(tmp_path / "m.json")(x), model(x)), "built again without the hub"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the hub, as huggingface_hub keeps it, and a network that is not there."""
    from huggingface_hub import constants

    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setattr(constants, name, str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub" / "models--own--small"


def publish(repository, revision, seed):
    """A revision of a model at the hub as it lies in a cache; its branch main is at it from now on."""
    torch.manual_seed(seed)
    network = timm.create_model("resnet10t", num_classes=7)
    folder = repository / "snapshots" / revision
    folder.mkdir(parents=True)
    about = {"architecture": "resnet10t", "num_classes": 7, "pretrained_cfg": {"input_size": [3, 32, 32]}}
    (folder / "config.json").write_text(json.dumps(about))
    save_file(network.state_dict(), folder / "model.safetensors")
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision)


def test_the_revision_of_a_name_at_the_hub_is_known_and_watched(cache):
    first, second = "1" * 40, "2" * 40
    publish(cache, first, 0)
    model = building.from_source("timm", pictures(), architecture="hf-hub:own/small")
    named = hub.described([model.hub])
    assert named == {"hf-hub:own/small": {"revision": first}}
    manifest = {"models/x.json": {"outside": named}}
    looked_at = {"models/x.json": []}
    assert changed_inputs.changed_files(looked_at, manifest.get) == []
    publish(cache, second, 1)
    (moved,) = changed_inputs.changed_files(looked_at, manifest.get)
    said = changed_inputs.file_sentence(moved, "results/a")
    assert f"hf-hub:own/small is at revision {second} on this machine" in said
    assert f"results/a/models/x.json was made of {first}" in said
    assert f"hf-hub:own/small@{first}` never moves" in said
    # As the sentence says: a name with its revision is the same model whatever comes after it.
    pinned = building.from_source("timm", pictures(), architecture=f"hf-hub:own/small@{first}")
    assert weights_digest(pinned.network) == weights_digest(model.network)
    assert hub.described([pinned.hub]) == {f"hf-hub:own/small@{first}": {"revision": first}}
    shutil.rmtree(cache)
    assert changed_inputs.changed_files(looked_at, manifest.get) == [], "what is gone has not moved"


@pytest.mark.parametrize("path", ["{0}", "../../../{0}", "main/../../{0}"])
def test_a_name_that_leads_out_of_the_cache_is_none(cache, path):
    """A stranger's manifest may say that a model is of any name, and a sentence would quote what it is at."""
    publish(cache, "1" * 40, 0)
    secret = cache.parent / "secret"
    secret.write_text("secret")
    (cache / "secret").write_text("secret")
    for place in (secret, "secret"):
        name = f"hf-hub:own/small@{path.format(place)}"
        assert hub.cached_revision(name) is None
        assert not hub.has_moved(name, "1" * 40)


def test_weights_of_a_file_are_of_no_hub(cache, tmp_path):
    publish(cache, "1" * 40, 0)
    weights = str(cache / "snapshots" / ("1" * 40) / "model.safetensors")
    model = building.from_source("timm", pictures(), architecture="resnet10t", weights=weights)
    assert model.hub is None


def offline(*args, **keywords):
    raise ConnectionError("the network is unreachable")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"source": "file", "architecture": "nets.py:net", "weights": "x.pt"}, ["x.pt", "nets.py"]),
        ({"source": "timm", "architecture": "resnet18", "weights": "x.pt"}, ["x.pt"]),
        ({"source": "timm", "architecture": "local-dir:there"}, ["there"]),
        ({"source": "timm", "architecture": "resnet18"}, []),
        ({"source": "torchvision", "architecture": "resnet18", "weights": "x.pt"}, ["x.pt"]),
        ({"source": "torchvision", "architecture": "resnet18", "weights": "IMAGENET1K_V1"}, []),
        ({"source": "robustness", "architecture": "resnet18", "weights": "x.pt"}, ["x.pt"]),
        ({"source": "robustness", "architecture": "nets.py:net", "weights": "x.pt"}, ["x.pt", "nets.py"]),
        ({"source": "robustbench", "architecture": "Standard"}, ["models/cifar10/Linf/Standard.pt"]),
    ],
)
def test_every_file_that_a_model_is_made_of_is_watched(entry, expected):
    assert sources.outside(**entry) == expected


def test_timm_without_a_network(monkeypatch):
    monkeypatch.setattr("timm.models._builder.load_pretrained", offline)
    with pytest.raises(ModelkinError, match="'resnet18' cannot be had .*name the file as `weights`") as found:
        sources.get("timm").take(1000, "resnet18")
    assert "\n" not in str(found.value)
    monkeypatch.setattr("timm.models.load_model_config_from_hf", offline)
    with pytest.raises(ModelkinError, match="'hf-hub:timm/x' cannot be had"):
        sources.get("timm").take(1000, "hf-hub:timm/x")


def test_timm_names_that_do_not_exist(tmp_path):
    with pytest.raises(ModelkinError, match="unknown architecture of timm 'resnet81'; did you mean 'resnet"):
        sources.get("timm").take(10, "resnet81")
    path = weights_of(timm.create_model("resnet18", num_classes=7), tmp_path)
    with pytest.raises(ModelkinError, match=r"'fc.weight' is \(7, 512\) and not \(8, 512\)"):
        sources.get("timm").take(8, "resnet18", path)
    with pytest.raises(ModelkinError, match="timm cannot build 'resnet18': .*no_such"):
        sources.get("timm").take(7, "resnet18", path, options={"no_such": 1})


# torchvision


def test_torchvision_with_a_local_file(tmp_path):
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v3_small(weights=None, num_classes=7).eval()
    path = weights_of(network, tmp_path)
    model = building.from_source("torchvision", pictures(), architecture="mobilenet_v3_small", weights=path)
    assert (model.size, model.head) == (224, "classifier.3")
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    by_file = building.from_source(
        "file", pictures(), architecture="torchvision:mobilenet_v3_small", weights=path
    )
    x = tensor(pictures())
    assert torch.equal(by_file(x), model(x))
    write_model(tmp_path / "m.json", by_file, [], stage="import", version=1)
    assert torch.equal(load_model(tmp_path / "m.json")(x), model(x))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvision_by_the_name_of_its_weights(name, tmp_path, monkeypatch):
    """Weights that come from the network are stood in for; a network made again must fit them."""
    with_auxiliary = torchvision.models.get_model(name, weights=None, num_classes=1000, init_weights=False)
    monkeypatch.setattr(
        torchvision.models._api.WeightsEnum, "get_state_dict", lambda self, **_: with_auxiliary.state_dict()
    )
    taken = sources.get("torchvision").take(1000, name, "IMAGENET1K_V1")
    assert taken.origin == f"torchvision {name} IMAGENET1K_V1"
    assert taken.build["classes"] == 1000
    again = sources.get("torchvision").network(**taken.build)
    again.load_state_dict(taken.network.state_dict())
    assert again.transform_input == taken.network.transform_input
    assert taken.size == {"googlenet": 224, "inception_v3": 299}[name]


def test_torchvision_that_cannot_be_had(monkeypatch):
    with pytest.raises(ModelkinError, match="did you mean 'resnet18'"):
        sources.get("torchvision").take(10, "resnet1")
    with pytest.raises(ModelkinError, match="did you mean 'IMAGENET1K_V1'"):
        sources.get("torchvision").take(10, "resnet18", "IMAGENET_V1")
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(ModelkinError, match="cannot be had .*download https://.* and name the file"):
        sources.get("torchvision").take(1000, "resnet18")


# robustness


def attacked(network, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.25)):
    """A state dict as the robustness library's AttackerModel has it, in DataParallel."""
    inner = network.state_dict()
    whole = {f"module.model.{k}": v for k, v in inner.items()}
    whole |= {f"module.attacker.model.{k}": v for k, v in inner.items()}
    for place in ("module.normalizer", "module.attacker.normalize"):
        whole |= {
            f"{place}.new_{k}": torch.tensor(v).view(3, 1, 1) for k, v in (("mean", mean), ("std", std))
        }
    return whole


def test_robustness_checkpoints_are_read_without_dill(tmp_path):
    dill = pytest.importorskip("dill")
    torch.manual_seed(0)
    network = torchvision.models.resnet18(weights=None, num_classes=7).eval()
    path = tmp_path / "resnet18_l2_eps3.ckpt"
    beside = {
        "model": attacked(network),
        "epoch": 3,
        "schedule": lambda step: step,
        "args": types.SimpleNamespace(a=1),
    }
    for legacy in (False, True):
        torch.save(beside, path, pickle_module=dill, _use_new_zipfile_serialization=not legacy)
        model = building.from_source(
            "robustness", pictures(), architecture="imagenet/resnet18", weights=str(path), size=32
        )
        assert model.mean.flatten().tolist() == pytest.approx([0.5, 0.4, 0.3])
        assert model.std.flatten().tolist() == pytest.approx([0.2, 0.2, 0.25])
        with torch.no_grad():
            x = torch.rand(2, 3, 32, 32)
            assert torch.allclose(model.network(x), network(x), atol=1e-5)


class Payload:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return eval, (f"open({self.mark!r}, 'w')",)


def test_code_in_a_robustness_checkpoint_is_not_run(tmp_path):
    network, mark = torchvision.models.resnet18(num_classes=7), tmp_path / "run"
    path = weights_of(network, tmp_path, lambda w: {"model": attacked(network), "args": Payload(mark)})
    taken = sources.get("robustness").take(7, "imagenet/resnet18", path)
    assert torch.equal(taken.network.fc.weight, network.fc.weight)
    assert not mark.exists()
    with pytest.raises(ModelkinError, match="holds more than weights .*eval.*`trust_pickle: true`"):
        read_checkpoint(path)


def test_what_the_library_pickles_is_passed_over_and_not_run(tmp_path):
    dill = pytest.importorskip("dill")
    mark = tmp_path / "run"

    class Sly:
        def __reduce__(self):
            return dill.loads, (dill.dumps(Payload(mark)),)

    network = torchvision.models.resnet18(num_classes=7)
    torch.save({"model": attacked(network), "args": Sly()}, tmp_path / "x.pt", pickle_module=dill)
    sources.get("robustness").take(7, "imagenet/resnet18", str(tmp_path / "x.pt"))
    assert not mark.exists()


@pytest.mark.parametrize(("name", "size"), [("cifar/resnet18", 32), ("imagenet/alexnet", 224)])
def test_architectures_of_the_library_itself(name, size, tmp_path):
    pytest.importorskip("robustness", reason="needs the robustness library")
    source = sources.get("robustness")
    torch.manual_seed(0)
    network = source.network(name, 7).eval()
    path = weights_of(network, tmp_path, lambda w: {"model": attacked(network)})
    model = building.from_source("robustness", pictures(), architecture=name, weights=path)
    assert model.size == size
    representation, logits = model.both(torch.rand(2, 3, size, size))
    head = model.network.get_submodule(model.head)
    assert torch.allclose(head(representation), logits, atol=1e-4)
    with pytest.raises(ModelkinError, match="did you mean 'resnet18'"):
        source.network("cifar/resnet1", 7)


def test_robustness_entries_are_checked_before_anything_runs(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"1")
    with pytest.raises(ModelkinError, match="did you mean 'imagenet'"):
        sources.get("robustness").check(
            {"name": "m", "weights": str(tmp_path / "x.pt"), "architecture": "imagnet/resnet18"}
        )


# robustbench


@pytest.mark.parametrize(
    ("name", "millions"),
    [("Standard", 36.5), ("Gowal2021Improving_28_10_ddpm_100m", 36.5), ("Rade2021Helper_R18_extra", 11.2)],
)
def test_what_a_name_of_robustbench_tells_is_enough_to_plan(name, millions):
    network, size = sources.blank("robustbench", 10, architecture=name)
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 10)
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
    with pytest.raises(ModelkinError, match="is not known before it is downloaded"):
        sources.blank("robustbench", 10, architecture="Carmon2019Unlabeled")


def test_robustbench_when_it_is_there_and_when_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "robustbench", None)
    monkeypatch.setitem(sys.modules, "robustbench.utils", None)
    with pytest.raises(ModelkinError, match="needs the package robustbench"):
        sources.get("robustbench").take(10, "Standard")
    stand_in = types.ModuleType("robustbench.utils")
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    asked = []

    def load_model(name, dataset, threat_model):
        asked.append((name, dataset, threat_model))
        if name == "No":
            raise KeyError(name)
        return network

    stand_in.load_model = load_model
    monkeypatch.setitem(sys.modules, "robustbench", types.ModuleType("robustbench"))
    monkeypatch.setitem(sys.modules, "robustbench.utils", stand_in)
    model = building.from_source("robustbench", pictures(classes=10), architecture="Standard")
    assert model.size == 32
    assert asked == [("Standard", "cifar10", "Linf")]
    with pytest.raises(ModelkinError, match="RobustBench's model 'No' cannot be had"):
        sources.get("robustbench").take(10, "No", options={"threat_model": "L2"})


# what every source is checked for


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 1600, 7)

    def forward(self, x):
        return self.fc(nn.functional.dropout(x.flatten(1), 0.5, training=True))


class Batchwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)
        self.fc = nn.Linear(3 * 1600, 7)

    def forward(self, x):
        return self.fc(self.norm(x).flatten(1))


class Dictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 1600, 7)

    def forward(self, x):
        return {"logits": self.fc(x.flatten(1))}


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Noisy, "other logits when asked again; it keeps dropout"),
        (Batchwise, "depend on the other images of its batch"),
        (Dictionary, "returns dict; it must return logits"),
    ],
)
def test_models_that_are_not_in_eval_mode_or_return_something_else(network, said, monkeypatch):
    monkeypatch.setattr(
        sources.get("file"), "take", lambda classes, **_: sources.Taken(network(), "here", {"a": 1})
    )
    with pytest.raises(ModelkinError, match=said):
        building.from_source("file", pictures())


def test_another_number_of_channels_is_not_converted_silently(tmp_path):
    path = weights_of(timm.create_model("resnet18", num_classes=7), tmp_path)
    with pytest.raises(ModelkinError, match="takes 3 channels .* dataset's images have 1; .*`channels: 3`"):
        building.from_source("timm", pictures(channels=1), architecture="resnet18", weights=path)


def test_a_wrong_number_of_classes_is_refused():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 1600, 9))
    model = classifier.Classifier(network, "1", [0.0] * 3, [1.0] * 3, 40)
    with pytest.raises(ModelkinError, match=r"outputs of shape \(9,\), but the dataset has 7 classes"):
        building.check_fits(model, pictures(), "mine")


def test_the_same_weights_have_the_same_digest_and_others_not():
    network = nn.Linear(3, 2)
    first = weights_digest(network)
    assert weights_digest(nn.Linear(3, 2)) != first
    twin = nn.Linear(3, 2)
    twin.load_state_dict(network.state_dict())
    assert weights_digest(twin) == first
    assert weights_digest(network.half()) != first


# folding


def with_statistics(network):
    """The network with batch norms that do something."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return classifier.frozen(network)


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (torchvision_("resnet18"), 0),
        (timm_("mobilenetv2_100"), 0),
        (torchvision_("densenet121"), 62),  # norms that stand before their convolutions stay
    ],
)
def test_folding_gives_the_same_function_with_fewer_norms(make, left):
    network = with_statistics(make())
    x = torch.rand(4, 3, 64, 64)
    there, folded = norms(network), fold_batch_norms(network, x)
    assert norms(network) == there > left == norms(folded)
    assert torch.allclose(folded(x), network(x), rtol=1e-3, atol=1e-4 * float(network(x).abs().max()))
    assert tracing.find_head(folded, x) == tracing.find_head(network, x)


class Shared(nn.Module):
    """A convolution's output is used beside its norm too, one norm is used twice, and one pair is."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.twice = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.plain, self.good = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.again, self.too = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 7)

    def forward(self, x):
        x = self.first(x)
        x = self.twice(self.twice(x + self.norm(x)))
        x = self.too(self.again(self.too(self.again(x))))
        return self.fc(self.good(self.plain(x)).mean((2, 3)))


def test_what_is_used_elsewhere_is_not_folded():
    network = with_statistics(Shared())
    x = torch.rand(4, 3, 10, 10)
    folded = fold_batch_norms(network, x)
    assert torch.allclose(folded(x), network(x), rtol=1e-3, atol=1e-4)
    kinds = {name: type(module).__name__ for name, module in folded.named_children()}
    assert kinds["norm"] == kinds["twice"] == kinds["too"] == "BatchNorm2d"
    assert kinds["good"] == "Identity"
