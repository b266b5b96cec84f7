"""The networks that are inverted and attacked, with batch norms that do something."""

from __future__ import annotations

import timm
import torch
import torchvision
from torch import nn

from modelkin.networks import tracing
from modelkin.networks.classifier import Classifier, frozen


class Block(nn.Module):
    """Two convolutions and a shortcut that pads missing channels with zeros (He et al. 2016, option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        if self.stride > 1:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return (x + y).relu()


def cifar_resnet20() -> nn.Module:
    stages = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
    blocks = [
        Block(inputs if number == 0 else outputs, outputs, stride if number == 0 else 1)
        for inputs, outputs, stride in stages
        for number in range(3)
    ]
    stem = (nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


NETWORKS = {
    "ResNet-18, 32 px": (lambda: torchvision.models.resnet18(num_classes=10), 32),
    "ResNet-18, 64 px": (lambda: torchvision.models.resnet18(num_classes=10), 64),
    "CIFAR ResNet-20": (cifar_resnet20, 32),
    "small ViT": (
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=4, num_classes=10, depth=6),
        32,
    ),
}


def benchmark_classifier(name: str) -> Classifier:
    """A frozen classifier with seeded weights and batch norms as training would leave them."""
    make, size = NETWORKS[name]
    torch.manual_seed(0)
    network = make()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    network = frozen(network)
    head = tracing.find_head(network, torch.rand(2, 3, size, size))
    return Classifier(network, head, [0.5] * 3, [0.25] * 3, size).eval()
