"""A model's card: what it is made of, found by looking."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from modelkin.networks import tracing
from modelkin.networks.classifier import Classifier


def model_card(model: Classifier) -> dict[str, Any]:
    """What a frozen model is made of, found by looking: where it is from, how large it is, what it takes.

    multiply_adds: of one image at the model's own size. width: of the representation. weights: digest of the
    network's parameters and buffers alone, the same for the same weights under another name.
    """
    with torch.no_grad():
        width = model.representation(model.blank(1)).shape[1]
    build = model.build
    return {
        "source": build["source"],
        "origin": f"trained here: {build['architecture']}" if build["source"] == "train" else "",
        "interpolation": None,
        "crop": None,
        **getattr(model, "origin", {}),
        "weights": weights_digest(model.network),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "multiply_adds": tracing.multiply_adds(model.network, model.prepared(model.blank(1))),
        "size": model.size,
        "mean": [round(value, 6) for value in model.mean.flatten().tolist()],
        "std": [round(value, 6) for value in model.std.flatten().tolist()],
        "head": model.head,
        "width": width,
        "split_points": [point._asdict() for point in model.split_points()],
    }


def weights_digest(network: nn.Module) -> str:
    """sha256 of a network's weights: names, shapes and values, in the order of the names."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        total.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\n".encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
