"""What is asked of every network's graph: that it, its halves and its cut points are the network's."""

import torch
from torch import nn

from modelkin.networks import tracing
from modelkin.networks.graph import Graph


def made(network, size=8, channels=3):
    """A network with statistics that are not those it began with, its graph, and images."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.running_mean), nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight), nn.init.normal_(module.bias)
    images = torch.randn(5, channels, size, size)
    return network.eval(), Graph(network, images[:1]), images


def agree(network, graph, images, cuts=None):
    """Graph and halves give what the network gives, to the last bit, for other numbers of images too."""
    batches = images[:1], images
    with torch.no_grad():
        wanted = [network(x) for x in batches]
        for x, logits in zip(batches, wanted, strict=True):
            assert torch.equal(graph.observe(x, has_its_shape), logits)
        for cut in graph.cut_points[:: max(1, len(graph.cut_points) // cuts) if cuts else 1]:
            front, end = graph.front(cut), graph.end(cut)
            for x, logits in zip(batches, wanted, strict=True):
                between = front(x)
                assert between.shape == (len(x), *cut.shape)
                assert torch.equal(end(between), logits), cut


def has_its_shape(layer, output):
    assert output.shape[1:] == layer.shape, layer


def split_points_are_cut_points(network, graph, images):
    """What modules at split points give is, to the last bit, what is handed over at some cut point.

    But for what modules give whose batch is no batch of images.
    """
    points, given = tracing.split_points(network, images), []

    def listen(name):
        def hook(module, inputs, output):
            given.append((name, output.clone()))

        return hook

    handles = [
        network.get_submodule(point.name).register_forward_hook(listen(point.name)) for point in points
    ]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    found = {name for name, value in given if len(value) != len(images)}

    def compare(layer, output):
        found.update(name for name, value in given if torch.equal(value, output))

    with torch.no_grad():
        graph.observe(images, compare, [cut.name for cut in graph.cut_points])
    assert found == {point.name for point in points}


def images_come_first(graph, images):
    """What is handed over for an image is what is handed over for it alone, up to rounding."""
    together = {}

    def compare(layer, output):
        of_one = together.pop(layer)
        assert torch.allclose(output[0], of_one, rtol=1e-3, atol=1e-4 * float(of_one.abs().max())), layer

    with torch.no_grad():
        graph.observe(images, lambda layer, output: together.setdefault(layer, output[2].clone()))
        graph.observe(images[2:3], compare)
    assert not together
