"""Graphs of networks: how long they take to make, what is found, and what halves and observation cost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import timm
import torch

from benchmarks.base import Row, in_turn
from modelkin.networks.graph import Graph

ARCHITECTURES = (
    *("beit_base_patch16_224", "botnet26t_256", "cait_xxs24_224", "coat_tiny", "convmixer_768_32"),
    *("convnext_atto", "convnextv2_atto", "crossvit_tiny_240", "deit_tiny_distilled_patch16_224"),
    *("densenet121", "dpn48b", "edgenext_xx_small", "efficientnet_b0", "efficientvit_b0"),
    *("eva02_tiny_patch14_224", "fastvit_t8", "ghostnet_050", "gmlp_ti16_224", "halonet26t"),
    *("hiera_tiny_224", "hrnet_w18_small", "inception_v3", "lambda_resnet26t", "levit_128s"),
    *("maxvit_rmlp_pico_rw_256", "mixer_s32_224", "mobilenetv3_small_100", "mobilevit_xxs"),
    *("mvitv2_tiny", "nfnet_l0", "pit_ti_224", "poolformer_s12", "regnety_002", "resnest14d", "resnet18"),
    *("sequencer2d_s", "skresnet18", "swin_tiny_patch4_window7_224", "tnt_s_legacy_patch16_224"),
    *("twins_svt_small", "vgg11_bn", "vit_tiny_patch16_224", "volo_d1_224", "xcit_nano_12_p16_224"),
)


def rows() -> Iterator[Row]:
    import torch.export  # noqa: F401 - two seconds that are no network's

    yield from costs()
    for name in ARCHITECTURES:
        yield found(name)


def found(name: str) -> Row:
    """Seconds to make the graph of one of timm's architectures, and what is in it."""
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=10).eval()
    images = torch.randn(2, *network.default_cfg["input_size"])
    start = time.perf_counter()
    graph = Graph(network, images)
    seconds = time.perf_counter() - start
    with torch.no_grad():
        wanted = network(images)
        equal = torch.equal(graph.observe(images, lambda layer, output: None), wanted)
        cuts = graph.cut_points[:: max(1, len(graph.cut_points) // 4)]
        equal &= all(torch.equal(graph.end(cut)(graph.front(cut)(images)), wanted) for cut in cuts)
    ends = sum(cut.block_end for cut in graph.cut_points)
    return Row(
        f"graph of {name}",
        f"{len(graph.layers)} layers, {len(graph.cut_points)} cut points, {ends} ends of blocks",
        seconds,
        unit="s",
        checked=f"graph and halves at {len(cuts)} cut points {'' if equal else 'do NOT '}give the same bits",
    )


def costs() -> Iterator[Row]:
    """What a pass in two halves, and one that hands over all layers, take beside the network's own."""
    torch.manual_seed(0)
    network = timm.create_model("resnet18", pretrained=False).eval()
    images = torch.randn(16, 3, 96, 96)
    graph = Graph(network, images)
    cut = graph.cut_points[len(graph.cut_points) // 2]
    front, end = graph.front(cut), graph.end(cut)
    passes = {
        "front and end of a ResNet-18, 16 images of 96 pixels": lambda: end(front(images)),
        "the same observed at all layers": lambda: graph.observe(images, lambda layer, output: None),
    }
    with torch.no_grad():
        for what, call in passes.items():
            equal = torch.equal(call(), network(images))
            times = in_turn(call, lambda: network(images), repeats=9)
            checked = "the same bits" if equal else "NOT the same bits"
            yield Row(what, "the network", times[0] / times[1], 1.05, "of the time", checked)
