"""Classification models of torchvision by name, with its weights by name or a local file."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelkin import lazy
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import sources
from modelkin.networks.sources.base import check_plain_options, library_text

if TYPE_CHECKING:
    from modelkin.networks import checkpoints
else:  # a config is checked without torch
    checkpoints = lazy.module("modelkin.networks.checkpoints")

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
    """ModelkinError unless torchvision knows the name, and the weights if they are named and no file."""
    name, weights = entry["architecture"], entry.get("weights", "DEFAULT")
    known = _read_names().get(name)
    if known is None:
        _check_name(name)
    if BY_NAME.match(weights) and weights not in (known or ()):
        _check_weights(name, weights)


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
        checkpoints.fit_to_network(found, checkpoints.read_checkpoint(weights, **reading), weights)
        transform = known.DEFAULT.transforms()
    else:
        _check_weights(architecture, weights)
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


def known_names() -> list[str]:
    """The names of torchvision's classification models, as its files have them."""
    return list(_read_names())


@functools.cache
def _read_names() -> dict[str, set[str]]:
    """The names of weights by the name of their architecture, as far as they can be read off the files."""
    text = library_text("torchvision", "models")
    members = {
        name: {"DEFAULT", *re.findall(r"^    ([A-Z0-9_]+) = Weights\(", body, re.MULTILINE)}
        for name, body in re.findall(r"^class (\w+)\(WeightsEnum\):\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    }
    found = re.findall(
        r"^@register_model\(\)\n(?:@.*\n|    .*\n|\)\n)*def (\w+)\(\s*\*, weights: Optional\[(\w+)\]",
        text,
        re.MULTILINE,
    )
    return {name: members.get(weights, set()) for name, weights in found}


def _check_weights(architecture: str, weights: str) -> None:
    from torchvision import models

    known = models.get_model_weights(architecture).__members__
    if weights not in known:
        raise unknown_name(f"weights of torchvision's {architecture}", weights, known)


def _check_name(architecture: str) -> None:
    from torchvision import models

    names = models.list_models(module=models)
    if architecture not in names:
        raise unknown_name(
            "classification model of torchvision", architecture, names, "modelkin models torchvision"
        )


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
