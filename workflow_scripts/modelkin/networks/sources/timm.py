"""Models of timm by name, with its pretrained weights or a local file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelkin import lazy
from modelkin.errors import ModelkinError, unknown_name
from modelkin.networks import hub, sources
from modelkin.networks.sources.base import PLAIN_TEXT, check_plain_options, library_text

if TYPE_CHECKING:
    from modelkin.networks import checkpoints
else:  # a config is checked without torch
    checkpoints = lazy.module("modelkin.networks.checkpoints")

KEYS = frozenset({"architecture", "weights", "sha256", "trust_pickle", "options"})
REQUIRED = ("architecture",)
SCHEMES = ("hf-hub", "local-dir")  # before a colon, in place of a name


def files(entry: Mapping[str, Any]) -> list[str]:
    """The checkpoint, if one is named."""
    return [entry["weights"]] if "weights" in entry else []


def check(entry: Mapping[str, Any]) -> None:
    """ModelkinError unless timm knows the name, and has weights of its tag if they are to be timm's."""
    architecture = entry["architecture"]
    if ":" in architecture:
        if architecture.split(":")[0] not in SCHEMES:
            raise _unknown_scheme(architecture)
        return
    name, _, tag = architecture.partition(".")
    text = library_text("timm", "models")
    if f"@register_model\ndef {name}(" not in text:
        _check_name(name)
    if tag and "weights" not in entry and not re.search(rf"""['"]{re.escape(architecture)}['"]""", text):
        _check_tag(architecture)


def take(
    classes: int,
    architecture: str,
    weights: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    **reading,
) -> sources.Taken:
    """architecture: a name of timm with or without its tag, 'hf-hub:owner/name' or 'local-dir:path'.

    Without weights, timm's pretrained ones, downloaded on first use. options: keywords of
    ``timm.create_model``. reading: sha256 and trust_pickle, for a local file.
    """
    import timm

    options = dict(options or {})
    name, more = _resolved(architecture)
    if weights is None:
        found = _pretrained(architecture, options)
    else:
        found = _created(name, num_classes=classes, **more | options)
        checkpoints.fit_to_network(found, checkpoints.read_checkpoint(weights, **reading), weights)
    data = timm.data.resolve_model_data_config(found)
    tag = found.pretrained_cfg.get("tag") or ""
    return sources.Taken(
        network=found,
        origin=str(weights or f"timm {architecture}{f' ({tag})' if tag and tag not in architecture else ''}"),
        build={"architecture": name, "classes": found.num_classes, "options": more | options},
        mean=list(data["mean"]),
        std=list(data["std"]),
        size=data["input_size"][-1],
        interpolation=data["interpolation"],
        crop=data["crop_pct"],
        hub=None if weights else hub_name(found),
    )


def hub_name(found: Any) -> str | None:
    """Where at the hub a network of timm has its pretrained weights from, None if they are from elsewhere."""
    from timm.models._builder import _resolve_pretrained_source

    loaded_from, place = _resolve_pretrained_source(found.pretrained_cfg)
    return hub.SCHEME + (place if isinstance(place, str) else place[0]) if loaded_from == "hf-hub" else None


def blank(classes: int, architecture: str, options: Mapping[str, Any]):
    """The network with random weights, and its image size; hub names need the network for their config."""
    import timm

    name, more = _resolved(architecture)
    found = _created(name, num_classes=classes, **more | dict(options))
    return found, timm.data.resolve_model_data_config(found)["input_size"][-1]


def network(architecture: str, classes: int, options: Mapping[str, Any]):
    """The network of that name, its weights random."""
    return _created(architecture, num_classes=classes, **options)


def check_named(architecture: str, options: Mapping[str, Any]) -> None:
    """ModelkinError unless these, which may be a stranger's, name a network of timm and nothing else."""
    import timm

    if not PLAIN_TEXT.fullmatch(architecture) or not timm.models.is_model(architecture.split(".")[0]):
        raise unknown_name("architecture of timm", f"{architecture!r:.60}", timm.list_models())
    check_plain_options(options)


def known_names() -> list[str]:
    """The names of timm's architectures, as its files have them."""
    return re.findall(r"^@register_model\ndef (\w+)\(", library_text("timm", "models"), re.MULTILINE)


def _check_name(name: str) -> None:
    import timm

    if not timm.models.is_model(name):
        raise unknown_name("architecture of timm", name, timm.list_models(), "modelkin models timm")


def _check_tag(architecture: str) -> None:
    import timm

    name = architecture.split(".")[0]
    tagged = timm.list_models(f"{name}.*", pretrained=True)
    if architecture in tagged:
        return
    if not tagged:
        raise ModelkinError(
            f"timm has no weights of '{name}'; name a file as `weights`, or another architecture."
        )
    raise unknown_name("weights of timm", architecture, tagged)


def _unknown_scheme(architecture: str) -> ModelkinError:
    scheme = architecture.split(":")[0]
    return ModelkinError(f"timm knows no '{scheme}:'; write a name, hf-hub:owner/name or local-dir:path.")


def _resolved(architecture: str) -> tuple[str, dict[str, Any]]:
    """The name in timm's registry, and the keywords that a hub's config adds to it."""
    import timm

    if ":" not in architecture:
        return architecture, {}
    scheme, place = architecture.split(":", 1)
    try:
        if scheme == "hf-hub":
            _, name, arguments = timm.models.load_model_config_from_hf(place)
        elif scheme == "local-dir":
            _, name, arguments = timm.models._hub.load_model_config_from_path(place)
        else:
            raise _unknown_scheme(architecture)
    except (OSError, ValueError, KeyError) as error:
        raise _unavailable(architecture, error) from None
    return name, dict(arguments or {})


def _pretrained(architecture: str, options: Mapping[str, Any]):
    try:
        return _created(architecture, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        raise _unavailable(architecture, error) from None


def _created(architecture: str, **keywords):
    import timm

    if ":" not in architecture:
        _check_name(architecture.split(".")[0])
    try:
        return timm.create_model(architecture, **keywords)
    except (TypeError, ValueError) as error:
        raise ModelkinError(f"timm cannot build '{architecture}': {error}.") from None


def _unavailable(architecture: str, error: Exception) -> ModelkinError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelkinError(
        f"timm's weights of '{architecture}' cannot be had ({reason}); without a network, download them "
        "elsewhere and name the file as `weights`."
    )
