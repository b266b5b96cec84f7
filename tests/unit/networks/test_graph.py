"""A network's graph: its layers, its cut points, the halves and what is handed over, on small networks."""

import copy
import gc
import itertools
from pathlib import Path

import pytest
import torch
import torchvision
from agreement import agree, made, split_points_are_cut_points
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

from modelkin.errors import ModelkinError
from modelkin.networks.architectures import build, custom, names
from modelkin.networks.exporting import called
from modelkin.networks.graph import CutPoint, Graph

DATA = Path(__file__).parents[4] / "shared" / "data"
ARCHITECTURES = {
    **dict.fromkeys(
        ["resnet20", "resnet32", "resnet56", "resnet20_stage", "cnn_a_cifar", "marabou_large"], (3, 32)
    ),
    **dict.fromkeys(["vit_p16", "tutnet", "tiny10"], (3, 32)),
    **dict.fromkeys(["cnn_a_mnist", "mnist_ex"], (1, 28)),
    **{"gtsrb_grey": (1, 32), "squeezenet1_1": (3, 64), "mnv2": (3, 64), "mnv1_050": (3, 64)},
}


class Block(nn.Module):
    """A residual block that changes its values in place and calls one module twice."""

    def __init__(self, channels=4):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x
        return self.relu(y)


class Small(nn.Module):
    """Modules and functions, a block, and a pooling that is no module."""

    def __init__(self):
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(3, 4, 3, padding=1), nn.Sequential(Block(), Block())
        self.fc1, self.fc2 = nn.Linear(4, 6), nn.Linear(6, 5)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.stem(x)), 2)
        x = self.blocks(x).mean((2, 3))
        return self.fc2(functional.relu(self.fc1(x)))


class Preactivated(nn.Module):
    """A block that begins, and does not end, with an activation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return x + self.conv(x.relu())


def preactivated():
    blocks = nn.Sequential(nn.Conv2d(3, 4, 1), Preactivated(), Preactivated())
    return nn.Sequential(blocks, nn.ReLU(), nn.Flatten(), nn.Linear(256, 5))


class Attention(nn.Module):
    """Attention written out as products, as ``how`` says."""

    def __init__(self, how):
        super().__init__()
        self.how, self.patches = how, nn.Conv2d(3, 12, 4, 4)
        self.qkv, self.out, self.fc = nn.Linear(12, 36), nn.Linear(12, 12), nn.Linear(12, 5)
        self.heads, self.bias = nn.Linear(2, 2), nn.Parameter(torch.randn(2, 4, 4))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).reshape(len(x), 4, 3, 2, 6).permute(2, 0, 3, 1, 4)
        if self.how == "one operation":
            mixed = functional.scaled_dot_product_attention(q, k, v)
        elif self.how == "keys with values first":
            mixed = q.softmax(-1) @ (k.softmax(-2).transpose(-1, -2) @ v)
        else:
            scores = q @ k.transpose(-1, -2) * 6**-0.5 + self.bias
            if self.how == "heads are mixed":
                scores = self.heads(scores.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            mixed = functional.dropout(scores.softmax(-1), 0.1, self.training) @ v
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return self.fc(x.mean(1))


class Constants(nn.Module):
    """Tensors that stand in the code, or are made by it, and a plain attribute."""

    def __init__(self):
        super().__init__()
        self.shift, self.fc = torch.linspace(-1, 1, 8), nn.Linear(64, 5)

    def forward(self, x):
        x = x.mean(1) * torch.tensor([0.5, 2.0] * 4, device=x.device)
        start = torch.zeros(x.shape[0], 8, 8, device=x.device, dtype=x.dtype)
        return self.fc((x + start + torch.arange(8, device=x.device) + self.shift.to(x)).flatten(1).tanh())


class Windows(nn.Module):
    """Positions become further items of the batch: those of an image one after the other, or interleaved."""

    def __init__(self, interleaved):
        super().__init__()
        self.interleaved, self.inner, self.fc = interleaved, nn.Linear(48, 7), nn.Linear(28, 5)

    def forward(self, x):
        x = x.unflatten(2, (4, -1)).transpose(1, 2).flatten(2)  # (n, 4, 48)
        if self.interleaved:
            x = self.inner(x.transpose(0, 1).reshape(-1, 48)).reshape(4, -1, 7).transpose(0, 1)
        else:
            x = self.inner(x.reshape(-1, 48)).reshape(-1, 4, 7)
        return self.fc(x.flatten(1).relu())


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return made(Small())


# layers


def test_layers_are_all_calls_in_order(small):
    _, graph, _ = small
    inner, whole = (4, 4, 4), (4, 8, 8)
    block = [
        ("conv1", "convolution"),
        ("bn1", "norm"),
        ("relu", "activation"),
        ("conv2", "convolution"),
        ("bn2", "norm"),
        ("add", "addition"),
        ("relu:2", "activation"),
    ]
    assert [(layer.name, layer.kind, layer.shape) for layer in graph.layers] == [
        ("stem", "convolution", whole),
        ("relu", "activation", whole),
        ("max_pool2d", "pooling", inner),
        *((f"blocks.{k}.{name}", kind, inner) for k in (0, 1) for name, kind in block),
        ("mean", "pooling", (4,)),
        ("fc1", "linear", (6,)),
        ("relu:2", "activation", (6,)),
        ("fc2", "linear", (5,)),
    ]
    assert [layer.index for layer in graph.layers] == list(range(21))
    assert [layer.depth for layer in graph.layers] == [index / 20 for index in range(21)]


@pytest.mark.parametrize("how", ["one operation", "products", "heads are mixed", "keys with values first"])
def test_an_attention_is_one_layer_however_it_is_written(how):
    network, graph, images = made(Attention(how))
    assert [(layer.name, layer.kind) for layer in graph.layers] == [
        ("patches", "convolution"),
        ("qkv", "linear"),
        ("attention", "attention"),
        ("out", "linear"),
        ("add", "addition"),
        ("mean", "pooling"),
        ("fc", "linear"),
    ]
    assert next(layer.shape for layer in graph.layers if layer.kind == "attention") == (2, 4, 6)
    agree(network, graph, images)


def test_a_softmax_that_weights_nothing_is_an_activation():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Softmax(1), nn.Linear(5, 4))
    assert [layer.kind for layer in made(network)[1].layers] == ["linear", "activation", "linear"]


@pytest.mark.parametrize("interleaved", [False, True])
def test_images_come_first_in_what_is_handed_over(interleaved):
    network, graph, images = made(Windows(interleaved))
    (inner,) = graph.select("inner")
    assert inner.shape == (4, 7)
    kept = {}
    graph.observe(images, lambda layer, output: kept.setdefault(layer.name, output))
    graph.observe(images[2:3], lambda layer, output: kept.setdefault(f"one {layer.name}", output))
    assert torch.allclose(kept["inner"][2], kept["one inner"][0], atol=1e-6)
    agree(network, graph, images)
    assert "inner" not in {cut.name for cut in graph.cut_points}, "its rows are no images"


def test_selecting(small):
    _, graph, _ = small

    def chosen(what):
        return [layer.name for layer in graph.select(what)]

    assert graph.select() == graph.select("all") == graph.layers
    assert chosen("pooling") == ["max_pool2d", "mean"]
    assert chosen(["fc*", "stem", "pooling"]) == ["stem", "max_pool2d", "mean", "fc1", "fc2"]
    assert chosen("blocks.*.add") == ["blocks.0.add", "blocks.1.add"]
    assert graph.select("cuts") == graph.cut_points
    assert chosen("norm") == [f"blocks.{k}.bn{j}" for k in (0, 1) for j in (1, 2)]
    with pytest.raises(ModelkinError, match=r"by 'blocks.0.conv3'; did you mean 'blocks.0.conv[12]'"):
        graph.select("blocks.0.conv3")
    with pytest.raises(ModelkinError, match=r"by 'convolutions'; did you mean 'convolution'"):
        graph.select("convolutions")
    with pytest.raises(ModelkinError, match=r"by 'layer\*'; choose one of: all, cuts, convolution.*, stem"):
        graph.select(["all", "layer*"])
    assert graph.select("attention") == (), "a kind that this network does not have"


# cut points


def test_cut_points_and_the_ends_of_blocks(small):
    _, graph, _ = small
    assert [(cut.name, cut.before_activation) for cut in graph.cut_points if cut.block_end] == [
        ("relu", "stem"),
        ("blocks.0.relu:2", "blocks.0.add"),
        ("blocks.1.relu:2", "blocks.1.add"),
        ("relu:2", "fc1"),
    ]
    assert [cut.name for cut in graph.cut_points if not cut.block_end] == [
        *("stem", "max_pool2d", "blocks.0.add", "blocks.1.add", "mean", "fc1"),
    ]
    assert all(isinstance(layer, CutPoint) == (layer in graph.cut_points) for layer in graph.layers)


def test_blocks_that_end_with_no_activation():
    _, graph, _ = made(preactivated())
    ends = [(cut.name, cut.before_activation) for cut in graph.cut_points if cut.block_end]
    assert ends == [("0.1.add", None), ("0.2.add", None)]


def test_a_plain_network_can_be_cut_everywhere():
    network, graph, images = made(nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.ReLU(), nn.Linear(6, 4)))
    assert [(cut.name, cut.kind, cut.index) for cut in graph.cut_points] == [
        ("0", "view", 0),
        ("1", "linear", 0),
        ("2", "activation", 1),
    ]
    assert [cut.name for cut in graph.select("cuts")] == ["1", "2"]
    agree(network, graph, images)


def test_where_something_passes_beside_there_is_no_cut(small):
    _, graph, _ = small
    for name in ("blocks.0.bn2", "fc2", "fc3"):
        with pytest.raises(
            ModelkinError, match=f"cannot be cut at '{name}': .* there; (did you mean|choose)"
        ):
            graph.front(name)


@pytest.mark.parametrize("name", names())
def test_split_points_of_our_architectures_are_cut_points(name):
    torch.manual_seed(0)
    features = build(name, channels=3, size=16, width=8, representation=16)
    network, graph, images = made(nn.Sequential(features, nn.Linear(16, 10)), 16)
    agree(network, graph, images)
    split_points_are_cut_points(network, graph, images[:2])


# halves


@pytest.mark.parametrize(
    "network",
    [Small(), preactivated(), Constants(), Windows(False)],
    ids=["small", "preactivated", "constants", "windows"],
)
def test_halves_are_the_network(network):
    agree(*made(network))


def test_halves_share_all_parameters_and_no_operation(small):
    network, graph, _ = small
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    for cut in graph.cut_points:
        front, end = graph.front(cut), graph.end(cut)
        tensors = [dict(half.named_parameters()) | dict(half.named_buffers()) for half in (front, end)]
        for name, value in itertools.chain.from_iterable(held.items() for held in tensors):
            assert value is own[name]
        assert not tensors[0].keys() & tensors[1].keys()
        assert {*tensors[0], *tensors[1]} == {name for name in own if "num_batches" not in name}
        calls = [
            [called(node) for node in half.graph.nodes if node.op == "call_function"] for half in (front, end)
        ]
        assert len(calls[0]) + len(calls[1]) == len(graph.layers), "every operation stands in one half"
        assert (calls[0] + calls[1]).count("batch_norm") == 4, "which chooses the code of the device"


def test_gradients_pass_through_the_halves(small):
    network, graph, images = small
    front, end = graph.front("blocks.0.add"), graph.end("blocks.0.add")
    wanted = gradients(network, network, images)
    found = gradients(network, lambda x: end(front(x)), images)
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        assert torch.equal(value, found[name]), name


def gradients(network, function, images):
    x = images.clone().requires_grad_(True)
    loss = function(x).square().sum()
    values = {"images": x, **dict(network.named_parameters())}
    return dict(zip(values, torch.autograd.grad(loss, values.values()), strict=True))


@pytest.mark.parametrize("network", [Small(), Constants(), Attention("heads are mixed"), Windows(True)])
def test_halves_work_elsewhere_and_in_double(network):
    network, graph, images = made(network)
    cut = graph.cut_points[len(graph.cut_points) // 2]
    front, end = copy.deepcopy(graph.front(cut)), copy.deepcopy(graph.end(cut))
    assert end.to("meta")(front.to("meta")(images.to("meta"))).shape == (5, 5)
    network, wide = copy.deepcopy(network).double(), images.double()
    graph = Graph(network, wide)
    agree(network, graph, wide)
    assert graph.end(cut.name)(graph.front(cut.name)(wide)).dtype == torch.float64


@pytest.mark.parametrize("kind", [Small, Constants])
def test_a_graph_follows_its_network(kind):
    network, graph, images = made(kind())
    cut = graph.cut_points[3].name
    before, front, end = network(images), graph.front(cut), graph.end(cut)
    network.load_state_dict({name: value * 1.1 for name, value in network.state_dict().items()})
    agree(network, graph, images)
    assert not torch.equal(before, network(images))
    assert torch.equal(end(front(images)), network(images)), "the halves too: their tensors are the network's"
    elsewhere = images.to("meta")
    network.to("meta")
    assert graph.end(cut)(graph.front(cut)(elsewhere)).device.type == "meta"
    assert graph.observe(elsewhere, lambda layer, output: None).device.type == "meta"


def test_other_orders_in_memory():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    network, graph, images = made(network)
    network.to(memory_format=torch.channels_last)
    agree(network, graph, images.to(memory_format=torch.channels_last))


def test_autocast_rounds_as_in_the_network(small):
    network, graph, images = small
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted = network(images)
        assert wanted.dtype == torch.bfloat16
        assert torch.equal(graph.observe(images, lambda layer, output: None), wanted)
        for cut in graph.cut_points:
            assert torch.equal(graph.end(cut)(graph.front(cut)(images)), wanted)


# observation


def test_what_is_handed_over_is_what_modules_give_before_it_is_changed_in_place(small):
    network, graph, images = small
    wanted, calls = {}, {}

    def listen(name):
        def hook(module, inputs, output):
            calls[name] = calls.get(name, 0) + 1
            wanted[name if calls[name] == 1 else f"{name}:{calls[name]}"] = output.clone()

        return hook

    handles = [m.register_forward_hook(listen(n)) for n, m in network.named_modules() if not [*m.children()]]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    kept = {}
    with torch.no_grad():
        graph.observe(images, lambda layer, output: kept.setdefault(layer.name, output))
    assert len(wanted) == 15
    for name, value in wanted.items():
        assert torch.equal(kept[name], value), name


def test_only_what_is_asked_for_is_handed_over_in_order(small):
    _, graph, images = small
    seen = []
    graph.observe(images, lambda layer, output: seen.append(layer), ["fc1", "activation"])
    assert seen == list(graph.select(["activation", "fc1"]))
    assert [layer.name for layer in seen][-2:] == ["fc1", "relu:2"]


def test_no_output_is_kept():
    """Of a chain of twenty layers at most the one in hand, its input and a further one are alive."""
    layers = [nn.Conv2d(3, 3, 3, padding=1) if k % 2 else nn.ReLU(inplace=True) for k in range(20)]
    network, graph, images = made(nn.Sequential(*layers, nn.Flatten(), nn.Linear(192, 5)))
    alive = []

    def activations():
        tensors = [each for each in gc.get_objects() if type(each) is torch.Tensor]
        # Other tests keep tensors of all kinds, and one of tensors has no shape.
        found = [each for each in tensors if not each.is_nested and each.shape == images.shape]
        return {each.untyped_storage().data_ptr() for each in found}

    gc.collect()
    before = activations()
    with torch.no_grad():
        graph.observe(images, lambda layer, output: alive.append(len(activations() - before)))
    assert len(alive) == 21
    assert max(alive[:20]) <= 2
    assert not activations() - before


def test_an_error_of_the_function_is_its_own(small):
    _, graph, images = small

    class Full(Exception):
        pass

    def refuse(layer, output):
        raise Full("of this")

    with pytest.raises(Full, match="^of this$"):
        graph.observe(images, refuse)


# networks that cannot be followed, or nearly


class Told(nn.Module):
    """Does what it is told with images and a linear map."""

    def __init__(self, does):
        super().__init__()
        self.does, self.fc = does, nn.Linear(192, 5)

    def forward(self, x):
        return self.does(self.fc, x)


REFUSED = {
    "values": lambda fc, x: fc(x.flatten(1)) if x.mean() > 0 else fc(x.flatten(1)).relu(),
    "number of images": lambda fc, x: torch.stack([fc(one.flatten()) for one in x]),
    "another library": lambda fc, x: fc(torch.from_numpy(gaussian_filter(x.numpy(), 1)).flatten(1)),
    "noise": lambda fc, x: fc(functional.dropout(x.flatten(1))),
    "a tuple": lambda fc, x: (fc(x.flatten(1)),),
    "nothing": lambda fc, x: None,
    "two outputs": lambda fc, x: (fc(x.flatten(1)), x.mean()),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_network_that_cannot_be_followed_is_told_what_it_loses(why):
    with pytest.raises(ModelkinError, match="cannot be compared layer by layer or stitched") as found:
        Graph(Told(REFUSED[why]), torch.rand(2, 3, 8, 8))
    assert "still works" in str(found.value)
    assert "\n" not in str(found.value)


def test_a_network_may_ask_for_the_number_of_images():
    network, graph, images = made(Told(lambda fc, x: fc(x.reshape(len(x), -1))))
    agree(network, graph, images)


def test_a_network_that_changes_its_values_in_place_through_views():
    def does(fc, x):
        y = x.flatten(1) * 2
        y[:, :96].relu_()
        first = y[:, 96:]
        y.add_(1)
        return fc(torch.cat([y[:, :96], first], 1))

    network, graph, images = made(Told(does))
    agree(network, graph, images)


def test_a_network_may_switch_gradients_and_autocast_off():
    def does(fc, x):
        with torch.no_grad():
            scale = x.std((1, 2, 3), keepdim=True)
        with torch.autocast("cpu", enabled=False):
            return fc((x / scale).flatten(1))

    network, graph, images = made(Told(does))
    agree(network, graph, images)


@pytest.mark.parametrize("gradients", [True, False])
def test_attention_of_torch_itself(gradients):
    """Its fused code for inference rounds otherwise than its operations do."""
    torch.manual_seed(0)
    model = torchvision.models.VisionTransformer(16, 8, 2, 2, 16, 32, num_classes=5)
    network, graph, images = made(model, 16)
    assert sum(layer.kind == "attention" for layer in graph.layers) == 2
    with torch.set_grad_enabled(gradients):
        wanted, found = network(images), graph.observe(images, lambda layer, output: None)
    assert torch.allclose(wanted, found, atol=1e-5)
    assert not gradients or torch.equal(wanted, found)


def test_the_state_of_the_network_is_left_as_it_was():
    network = Small().requires_grad_(False)
    weights = copy.deepcopy(network.state_dict())
    Graph(network, torch.rand(1, 3, 8, 8))
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


# real ones


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the collection of real checkpoints")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_of_real_checkpoints(name):
    channels, size = ARCHITECTURES[name]
    network, graph, images = made(custom(f"{DATA / 'archs.py'}:ARCH[{name}]"), size, channels)
    agree(network, graph, images, cuts=8)
