"""Classification models of torchvision by name, with its weights by name or a local file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import sources
from modelkin.networks.checkpoints import fit_to_network, read_checkpoint
from modelkin.networks.sources.base import check_plain_options

KEYS = frozenset({"architecture", "weights", "sha256", "trust_pickle", "options"})
REQUIRED = ("architecture",)
BY_NAME = re.compile(r"[A-Z][A-Z0-9_]*$")
# What torchvision sets when it loads its own weights, and a network made again must be told.
SET_BY_WEIGHTS = ("aux_logits", "transform_input")


def files(entry: Mapping[str, Any]) -> list[str]:
    """The checkpoint, unless the weights are torchvision's."""
    weights = entry.get("weights", "DEFAULT")
    return [] if BY_NAME.match(weights) else [weights]


def check(entry: Mapping[str, Any]) -> None:
    """Nothing can be known before torchvision is imported."""


def take(
    classes: int,
    architecture: str,
    weights: str = "DEFAULT",
    *,
    options: Mapping[str, Any] | None = None,
    **reading,
) -> sources.Taken:
    """weights: a name such as IMAGENET1K_V1 (DEFAULT: torchvision's best), or a local file.

    options: keywords of the builder. reading: sha256 and trust_pickle, for a local file.
    """
    from torchvision import models

    _check_name(architecture)
    options, known = dict(options or {}), models.get_model_weights(architecture)
    local = not BY_NAME.match(weights)
    if local:
        found = _built(architecture, num_classes=classes, **options)
        fit_to_network(found, read_checkpoint(weights, **reading), weights)
        transform = known.DEFAULT.transforms()
    else:
        if weights not in known.__members__:
            raise unknown_name(f"weights of torchvision's {architecture}", weights, known.__members__)
        found = _downloaded(architecture, known[weights], options)
        transform = known[weights].transforms()
        options |= {key: getattr(found, key) for key in SET_BY_WEIGHTS if hasattr(found, key)}
    return sources.Taken(
        network=found,
        origin=str(weights) if local else f"torchvision {architecture} {known[weights].name}",
        build={
            "architecture": architecture,
            "classes": classes if local else len(known[weights].meta["categories"]),
            "options": options,
        },
        mean=list(transform.mean),
        std=list(transform.std),
        size=transform.crop_size[0],
        interpolation=transform.interpolation.value,
        crop=transform.crop_size[0] / transform.resize_size[0],
    )


def blank(classes: int, architecture: str, options: Mapping[str, Any]):
    """The network with random weights, and its image size."""
    from torchvision import models

    _check_name(architecture)
    size = models.get_model_weights(architecture).DEFAULT.transforms().crop_size[0]
    return network(architecture, classes, options), size


def network(architecture: str, classes: int, options: Mapping[str, Any]):
    """The network of that name, its weights random."""
    return _built(architecture, num_classes=classes, **options)


def check_named(architecture: str, options: Mapping[str, Any]) -> None:
    """ModelkinError unless these, maybe a stranger's, name a network of torchvision and nothing else."""
    _check_name(architecture)
    check_plain_options(options)


def _check_name(architecture: str) -> None:
    from torchvision import models

    names = models.list_models(module=models)
    if architecture not in names:
        raise unknown_name("classification model of torchvision", architecture, names)


def _built(architecture: str, **keywords):
    from torchvision import models

    try:
        return models.get_model(architecture, weights=None, **keywords)
    except (TypeError, ValueError) as error:
        raise ModelkinError(f"torchvision cannot build '{architecture}': {error}.") from None


def _downloaded(architecture: str, weights, options: Mapping[str, Any]):
    from torchvision import models

    try:
        return models.get_model(architecture, weights=weights, **options)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelkinError(
            f"torchvision's weights {weights.name} of '{architecture}' cannot be had ({reason}); without a "
            f"network, download {weights.url} elsewhere and name the file as `weights`."
        ) from None
