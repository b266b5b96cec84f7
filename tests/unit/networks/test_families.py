"""Graphs of architectures of many families, with random weights and fewer blocks where they allow it."""

import pytest
import timm
import torch
from agreement import agree, images_come_first, made, split_points_are_cut_points

# Options that make them small; they take images of 32 pixels if no other size is given.
QUICK = {
    "resnet18": {},
    "vit_tiny_patch16_224": {"img_size": 32, "depth": 2},
    "swin_tiny_patch4_window7_224": {"img_size": 32, "depths": (2, 2)},
    "convnext_atto": {"depths": (1, 1, 2, 1)},
}
FAMILIES = {
    "beit_base_patch16_224": {"img_size": 32, "depth": 2, "embed_dim": 96, "num_heads": 3},
    "cait_xxs24_224": {"img_size": 32, "depth": 2},
    "coat_tiny": {"img_size": 32, "serial_depths": (1, 1, 1, 1), "parallel_depth": 1},
    "convmixer_768_32": {},
    "crossvit_tiny_240": {"depth": [[1, 1, 0]]},
    "deit_tiny_distilled_patch16_224": {"img_size": 32, "depth": 2},
    "densenet121": {"block_config": (2, 3)},
    "dpn48b": {"k_sec": (1, 1, 1, 1)},
    "edgenext_xx_small": {"depths": (1, 2, 2, 2)},
    "efficientnet_b0": {},
    "efficientvit_b0": {},
    "halonet26t": {},
    "hiera_tiny_224": {"img_size": 32, "stages": (1, 1, 1, 1)},
    "hrnet_w18_small": {},
    "inception_v3": {},
    "lambda_resnet26t": {},
    "levit_128s": {"img_size": 32, "depth": (1, 1, 1)},
    "maxvit_rmlp_pico_rw_256": {"img_size": 32},
    "mixer_s32_224": {"img_size": 32},
    "mobilenetv3_small_050": {},
    "mobilevit_xxs": {},
    "nfnet_l0": {},
    "pit_ti_224": {"img_size": 32},
    "poolformer_s12": {},
    "regnety_002": {},
    "resnest14d": {},
    "sequencer2d_s": {"layers": (1, 1, 1, 1)},
    "tnt_s_legacy_patch16_224": {"img_size": 32, "depth": 2},
    "twins_svt_small": {"depths": (1, 1, 2, 1)},
    "vgg11_bn": {},
    "volo_d1_224": {"img_size": 32},
    "xcit_nano_12_p16_224": {"depth": 2},
}
SIZES = {"halonet26t": 256, "inception_v3": 96}
ATTENTIONS = {
    "beit_base_patch16_224": 2,
    "coat_tiny": 7,
    "deit_tiny_distilled_patch16_224": 2,
    "halonet26t": 3,
    "swin_tiny_patch4_window7_224": 4,
    "tnt_s_legacy_patch16_224": 4,
    "vit_tiny_patch16_224": 2,
    "volo_d1_224": 20,
    "xcit_nano_12_p16_224": 4,
    "resnet18": 0,
    "mixer_s32_224": 0,
}


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES)])
def test_a_graph_is_the_network(name):
    torch.manual_seed(0)
    options = (QUICK | FAMILIES)[name]
    network, graph, images = made(
        timm.create_model(name, pretrained=False, num_classes=10, **options), SIZES.get(name, 32)
    )
    agree(network, graph, images[:3], cuts=4)
    images_come_first(graph, images)
    split_points_are_cut_points(network, graph, images[:2])
    if name in ATTENTIONS:
        assert len(graph.select("attention")) == ATTENTIONS[name]
