"""Components read off networks: of known architectures, and of small ones with one thing in particular."""

import importlib.util
import json
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from modelkin.networks import architectures
from modelkin.networks.component_names import COMPONENTS
from modelkin.networks.components import read_components

DATA = Path(__file__).parents[4] / "shared" / "data"

# What is written of these architectures in their papers and in hwang2024's Table 1.
KNOWN = {
    "resnet18": {
        "base_family": "CNN",
        "hierarchy": "yes",
        "stem": "7x7 convolution, stride 2",
        "stem_pooling": "max",
        "input_size": "64",
        "normalisation": "batch",
        "activation": "ReLU",
        "self_attention": "no",
        "channel_attention": "no",
        "channel_attention_place": "none",
        "depthwise_convolution": "no",
        "grouped_convolution": "no",
        "final_pooling": "average",
    },
    "resnetblur18": {"depthwise_convolution": "no", "stem_pooling": "max"},
    "seresnet18": {"channel_attention": "yes", "channel_attention_place": "end of blocks"},
    "efficientnet_b0": {
        "stem": "3x3 convolution, stride 2",
        "stem_pooling": "none",
        "activation": "SiLU",
        "channel_attention_place": "middle of blocks",
        "depthwise_convolution": "yes",
        "grouped_convolution": "no",
    },
    "eca_resnet33ts": {"stem": "stack of 3x3 convolutions", "channel_attention": "yes", "activation": "SiLU"},
    "gcresnet50t": {"base_family": "CNN", "self_attention": "no", "channel_attention": "yes"},
    "resnext26ts": {"grouped_convolution": "yes", "depthwise_convolution": "no"},
    "nf_resnet26": {"normalisation": "none", "stem_pooling": "max"},
    "vgg11": {"stem_pooling": "max", "final_pooling": "flatten", "normalisation": "none"},
}
LARGER = {
    "vit_tiny_patch16_224": {
        "base_family": "Transformer",
        "hierarchy": "no",
        "stem": "16x16 convolution, stride 16",
        "normalisation": "layer",
        "activation": "GELU",
        "self_attention": "yes",
        "final_pooling": "class token",
    },
    "swin_tiny_patch4_window7_224": {
        "base_family": "Transformer",
        "hierarchy": "yes",
        "stem": "4x4 convolution, stride 4",
        "final_pooling": "average",
    },
    "xcit_nano_12_p16_224": {"base_family": "Transformer", "stem": "stack of 3x3 convolutions"},
    "crossvit_tiny_240": {"hierarchy": "no", "input_size": "240", "final_pooling": "class token"},
    "resmlp_12_224": {"base_family": "MLP", "normalisation": "none", "final_pooling": "average"},
    "botnet26t_256": {"base_family": "CNN with attention", "stem_pooling": "max", "input_size": "256"},
    "convnext_atto": {"base_family": "CNN", "normalisation": "layer", "depthwise_convolution": "yes"},
}


@pytest.mark.parametrize("name", KNOWN | LARGER)
def test_what_is_read_off_is_what_is_written_of_the_architecture(name):
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False)
    size = network.default_cfg["input_size"][-1] if name in LARGER else 64
    found = read_components(network, torch.rand(1, 3, size, size))
    wanted = (KNOWN | LARGER)[name]
    assert {key: found[key] for key in wanted} == wanted
    assert list(found) == list(COMPONENTS)


@pytest.mark.parametrize(
    ("name", "family", "normalisation", "pooling"),
    [
        ("residual", "CNN", "batch", "average"),
        ("vgg", "CNN", "batch", "flatten"),
        ("depthwise", "CNN", "batch", "average"),
        ("vit", "Transformer", "layer", "average"),
        ("mixer", "MLP", "layer", "average"),
        ("mlp", "MLP", "none", "flatten"),
    ],
)
def test_own_architectures(name, family, normalisation, pooling):
    network = architectures.build(name, channels=1, size=16, width=8, representation=16)
    found = read_components(torch.nn.Sequential(network, torch.nn.Linear(16, 10)), torch.rand(1, 1, 16, 16))
    assert (found["base_family"], found["normalisation"], found["final_pooling"]) == (
        family,
        normalisation,
        pooling,
    )


def test_a_network_is_left_as_it_was():
    network = timm.create_model("resnet18", pretrained=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.rand(1, 3, 64, 64)
    network.eval()
    logits = network(x)
    read_components(network, x)
    assert torch.equal(network(x), logits)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Gated(nn.Module):
    """A convolution, gates on its channels, and what ``then`` makes of what was gated and what was not."""

    def __init__(self, *then):
        super().__init__()
        self.stem, self.after = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.weigh = nn.ModuleList(nn.Linear(4, 4) for _ in then)
        self.then, self.head = then, nn.Linear(4, 2)

    def forward(self, x):
        x = self.stem(x)
        for weigh, then in zip(self.weigh, self.then, strict=True):
            gate = weigh(x.mean((2, 3))).sigmoid()[:, :, None, None]
            x = then(self, x, x * gate)
        return self.head(x.mean((2, 3)))


GATES = {
    "convolved": lambda self, x, gated: self.after(gated),
    "added": lambda self, x, gated: gated + x,
    "added and convolved": lambda self, x, gated: self.after(gated + x),
    "convolved and added": lambda self, x, gated: self.after(gated) + gated,
}


@pytest.mark.parametrize(
    ("then", "place"),
    [
        (["convolved"], "middle of blocks"),
        (["added"], "end of blocks"),
        (["added and convolved"], "end of blocks"),
        (["convolved and added"], "end of blocks"),
        (["convolved", "added", "convolved"], "middle of blocks"),
    ],
)
def test_where_gates_stand(then, place):
    found = read_components(Gated(*(GATES[each] for each in then)), torch.rand(1, 1, 8, 8))
    assert (found["channel_attention"], found["channel_attention_place"]) == ("yes", place)


class Tokens(nn.Module):
    """Patches, ``mixers`` of them and a representation by ``pool`` (values (1, n, c) to (1, c))."""

    def __init__(self, pool, *mixers, stem=None):
        super().__init__()
        self.stem = stem or nn.Conv2d(1, 8, 4, 4)
        self.mixers, self.pool, self.head = nn.ModuleList(mixers), pool, nn.Linear(8, 2)

    def forward(self, x):
        x = self.stem(x)
        for mixer in self.mixers:
            x = mixer(x)
        return self.head(self.pool(x.flatten(2).transpose(1, 2)))


class Attention(nn.Module):
    def forward(self, x):
        rows = x.flatten(2).transpose(1, 2)
        return ((rows @ rows.transpose(1, 2)).softmax(2) @ rows).transpose(1, 2).view_as(x)


class Rows(nn.Module):
    """A linear map of the channels at each position."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(x.flatten(2).transpose(1, 2)).transpose(1, 2).view_as(x)


class Branches(nn.Module):
    """Two stems for one image: the first stands for both."""

    def __init__(self):
        super().__init__()
        self.coarse, self.fine = nn.Conv2d(1, 8, 5, 5), nn.Conv2d(1, 8, 4, 4)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.coarse(x).mean((2, 3)) + self.fine(x).mean((2, 3)))


def mean(x):
    return x.mean(1)


def attention_pooling(x):
    return ((x.sum(2, keepdim=True)).softmax(1).transpose(1, 2) @ x)[:, 0]


def small(*layers):
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))


SMALL = {
    "group norm and ReLU6": (
        small(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.ReLU6()),
        {"normalisation": "group", "activation": "ReLU6", "depthwise_convolution": "no"},
    ),
    "halved once": (
        small(nn.Conv2d(1, 8, 3, 1, 1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)),
        {"hierarchy": "no"},
    ),
    "halved once after the stem": (
        small(nn.Conv2d(1, 8, 3, 1, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 2, 2)),
        {"hierarchy": "yes", "stem": "3x3 convolution, stride 1", "stem_pooling": "none"},
    ),
    "doubled and halved": (
        small(
            nn.Conv2d(1, 8, 4, 4), nn.Conv2d(8, 8, 1), nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(8, 8, 2, 2)
        ),
        {"hierarchy": "no"},
    ),
    "patches of few channels": (
        Tokens(lambda x: nn.functional.linear(x, torch.eye(8)).mean(1), stem=nn.Conv2d(1, 8, 2, 2)),
        {"hierarchy": "no", "final_pooling": "average"},
    ),
    "merged patches": (
        Tokens(mean, Attention(), nn.Conv2d(8, 8, 2, 2), nn.Conv2d(8, 8, 2, 2)),
        {"base_family": "Transformer", "self_attention": "yes"},
    ),
    "more attention than convolution": (
        Tokens(mean, Attention(), nn.Conv2d(8, 8, 3, 1, 1), Attention()),
        {"base_family": "Transformer"},
    ),
    "more convolution than attention": (
        Tokens(mean, Attention(), nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1)),
        {"base_family": "CNN with attention"},
    ),
    "strided convolutions alone": (
        nn.Sequential(
            *(nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 4, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(200, 8), nn.ReLU(), nn.Linear(8, 2)),
        ),
        {"base_family": "CNN", "stem": "4x4 convolution, stride 2", "hierarchy": "yes"}
        | {"stem_pooling": "none", "final_pooling": "flatten"},
    ),
    "convolutions of one place each at the end": (
        small(nn.Conv2d(1, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1)),
        {"base_family": "CNN", "stem": "3x3 convolution, stride 2", "hierarchy": "no"},
    ),
    "a single convolution": (
        small(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2)),
        {"base_family": "CNN", "stem": "5x5 convolution, stride 1", "stem_pooling": "max"},
    ),
    "patches and nothing else": (small(nn.Conv2d(1, 8, 4, 4), nn.ReLU()), {"base_family": "MLP"}),
    "a stack before tokens": (
        Tokens(mean, Rows(), stem=nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 2))),
        {"base_family": "MLP", "stem": "stack of 3x3 convolutions"},
    ),
    "attention after a stack": (
        Tokens(mean, Rows(), Attention(), stem=nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.Conv2d(8, 8, 3, 2))),
        {"base_family": "Transformer", "stem": "stack of 3x3 convolutions"},
    ),
    "a slice": (Tokens(lambda x: x[:, :1].flatten(1), Attention()), {"final_pooling": "class token"}),
    "pooled by attention": (
        Tokens(attention_pooling),
        {"final_pooling": "attention", "self_attention": "no"},
    ),
    "both poolings": (
        Tokens(lambda x: torch.stack([x.mean(1), x.amax(1)]).mean(0)),
        {"final_pooling": "average"},
    ),
    "two branches": (
        Branches(),
        {"stem": "5x5 convolution, stride 5"},
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_networks(name):
    network, wanted = SMALL[name]
    found = read_components(network, torch.rand(1, 1, 20, 20))
    assert {key: found[key] for key in wanted} == wanted


def test_a_network_in_training_is_read_as_it_is_used():
    network = small(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)).train()
    before = network[1].running_mean.clone()
    assert read_components(network, torch.rand(1, 1, 20, 20))["normalisation"] == "batch"
    assert torch.equal(network[1].running_mean, before)


PLAIN = {
    "base_family": "CNN",
    "hierarchy": "yes",
    "stem": "3x3 convolution, stride 1",
    "stem_pooling": "none",
    "input_size": "32",
    "normalisation": "none",
    "activation": "ReLU",
    "self_attention": "no",
    "channel_attention": "no",
    "channel_attention_place": "none",
    "depthwise_convolution": "no",
    "grouped_convolution": "no",
    "final_pooling": "flatten",
}
RESIDUAL = {"normalisation": "batch", "final_pooling": "average"}
STRIDED = {"stem": "4x4 convolution, stride 2"}
LENET = {"stem": "5x5 convolution, stride 1", "stem_pooling": "max"}
TRANSFORMER = {
    **{"base_family": "Transformer", "hierarchy": "no", "normalisation": "batch"},
    **{"self_attention": "yes", "final_pooling": "average"},
}
MOBILE = {
    **{"stem": "3x3 convolution, stride 2", "normalisation": "batch", "activation": "ReLU6"},
    **{"depthwise_convolution": "yes", "final_pooling": "average", "input_size": "224"},
}
# Written down from the code of each, in what it differs from PLAIN.
COLLECTED = {
    **dict.fromkeys(("resnet20", "resnet32", "resnet44", "resnet56", "resnet20_stage", "tiny10"), RESIDUAL),
    **dict.fromkeys(("cnn_a_cifar", "cnn_a_gtsrb", "kw_base", "kw_deep"), STRIDED),
    **dict.fromkeys(("marabou_medium", "marabou_large", "conv_small"), STRIDED),
    "cnn_a_mnist": STRIDED | {"input_size": "28"},
    "tutnet": LENET,
    "mnist_ex": LENET | {"input_size": "28"},
    "gtsrb_grey": LENET | {"stem_pooling": "average"},
    **dict.fromkeys(("lenet5a", "fmcnn"), {"stem_pooling": "max", "input_size": "28"}),
    "vit_p16": TRANSFORMER | {"stem": "16x16 convolution, stride 16"},
    "vit_p8": TRANSFORMER | {"stem": "8x8 convolution, stride 8"},
    **dict.fromkeys(("mnv1_025", "mnv1_075", "mnv2"), MOBILE),
    "mnv1_050": MOBILE | {"input_size": "160"},
    "squeezenet1_1": {
        **{"stem": "3x3 convolution, stride 2", "stem_pooling": "max", "input_size": "224"},
        "final_pooling": "average",
    },
}
GREY = ("cnn_a_mnist", "mnist_ex", "lenet5a", "fmcnn", "gtsrb_grey")


@pytest.fixture(scope="module")
def collected():
    """The architectures of the collected checkpoints, by name."""
    if not DATA.exists():
        pytest.skip("without the collected checkpoints")
    place = importlib.util.spec_from_file_location("collected_architectures", DATA / "archs.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module.ARCH


@pytest.mark.parametrize("name", COLLECTED)
def test_collected_architectures_as_a_reader_of_their_code_describes_them(collected, name):
    wanted = PLAIN | COLLECTED[name]
    side = int(wanted["input_size"])
    found = read_components(collected[name](), torch.rand(1, 1 if name in GREY else 3, side, side))
    assert found == wanted


def test_every_collected_architecture_is_described(collected):
    assert set(collected) == set(COLLECTED)
    assert {each["arch"] for each in json.loads((DATA / "manifest.json").read_text())} <= set(COLLECTED)
