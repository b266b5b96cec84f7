"""What a manifest may ask for when its network is built again: it may be a stranger's.

Networks of our architectures, timm, torchvision and the robustness library are built by name, from options
that are plain values. Everything else is code or comes from elsewhere, and is built only as the entry of the
user's own config says. It knows nothing of manifests, nor of weights.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.networks import architectures, sources
from modelkin.networks.classifier import RESIZING

TRAINED = ("architecture", "channels", "size", "classes", "width", "representation")
ELSEWHERE = ("network", "head", "mean", "std", "size", "resize", "classes")
LIBRARIES = ("timm", "torchvision")  # of which source 'file' takes architectures by name
LARGEST = 2**20  # of whole numbers in a build: classes, pixels, widths


def check_trained(build: Any) -> dict[str, Any]:
    """What ``building.new_model`` takes; ModelkinError unless the build says just that."""
    settings = _with_keys(build, ("source", *TRAINED))
    settings.pop("source")
    if settings["architecture"] not in architectures.names():
        raise _refused("names no architecture of ours")
    for key in TRAINED[1:]:
        if not _is_count(settings[key]):
            raise _refused(f"has no usable {key}")
    return settings


def check_taken(build: Any) -> dict[str, Any]:
    """The build of a model from elsewhere, but for its network; ModelkinError unless all is of its type."""
    found = _with_keys(build, ("source", *ELSEWHERE))
    for key in ("size", "classes"):
        if not _is_count(found[key]):
            raise _refused(f"has no usable {key}")
    for key in ("mean", "std"):
        if not _is_numbers(found[key]) or len(found[key]) != len(found["mean"]):
            raise _refused(f"has no usable {key}")
    if not isinstance(found["head"], str) or found["resize"] not in RESIZING:
        raise _refused("has no usable head or resize")
    if not isinstance(found["network"], dict):
        raise _refused("names no network")
    return found


def stored_network(
    source: str, network: Mapping[str, Any], entry: Mapping[str, Any] | None, sha256: str | None = None
):
    """The network of a build, its weights random.

    Parameters
    ----------
    source, network
        What the manifest says.
    entry
        What the user's config says of the model; without it nothing that runs code is built.
    sha256
        Of the file of an own architecture when the model was taken in, if that is known.

    Raises
    ------
    ModelkinError
        If the build asks for more than its source's names and plain options, and for other than the entry;
        if the file of an own architecture has changed; or if it cannot be built.
    """
    if source not in sources.names():
        raise _refused("names no source that there is")
    library = network.get("library")
    if library is not None and (source != "file" or library not in LIBRARIES):
        raise _refused(f"names the library {library!r:.40}")
    module, by_name = sources.get(source), sources.get(library or source)
    _check_keywords(by_name, {key: value for key, value in network.items() if key != "library"})
    if hasattr(by_name, "check_named"):
        said = (entry or {}).get("options") or {}
        others = {key: value for key, value in network.get("options", {}).items() if said.get(key) != value}
        by_name.check_named(network["architecture"], others)
    else:
        _check_consent(source, network, entry)
        if sha256 is not None:
            return module.network(**network, sha256=sha256)
    try:
        return module.network(**network)
    except ModelkinError:
        raise
    except Exception as error:
        # Names and types are right; what a library makes of odd numbers can be any error.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelkinError(f"the network '{network['architecture']}' cannot be built ({reason}).") from None


def _check_keywords(module, network: Mapping[str, Any]) -> None:
    wanted = inspect.signature(module.network).parameters.values()
    known = {each.name for each in wanted if each.kind is not each.VAR_KEYWORD} - {"sha256", "library"}
    required = {each.name for each in wanted if each.default is each.empty and each.name in known}
    if not required <= network.keys() <= known:
        raise _refused("does not say what its source needs, or says more")
    if not isinstance(network["architecture"], str) or not isinstance(network.get("options", {}), dict):
        raise _refused("has no usable architecture or options")
    if "classes" in network and not _is_count(network["classes"]):
        raise _refused("has no usable classes")


def _check_consent(source: str, network: Mapping[str, Any], entry: Mapping[str, Any] | None) -> None:
    named = network["architecture"]
    if entry is None:
        raise ModelkinError(
            f"the model's network is made by '{named}' of source '{source}', whose code would be run; if you "
            f"trust it, say so: load_model(..., entry={{'source': '{source}', 'architecture': '{named}'}})."
        )
    said = {key: entry.get(key) for key in ("source", "architecture")}
    if said != {"source": source, "architecture": named} or not _same_options(source, network, entry):
        raise ModelkinError(
            f"the model's network is said to be made by '{named}' of source '{source}', but the "
            "config's entry says otherwise (source, architecture or options); delete the model's manifest "
            "and run again."
        )


def _same_options(source: str, network: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    complete = getattr(sources.get(source), "complete_options", dict)
    return complete(entry.get("options") or {}) == network["options"]


def _with_keys(build: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(build, Mapping) or set(build) != set(keys):
        raise _refused("does not say what a model is built of")
    return dict(build)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST


def _is_numbers(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= LARGEST
        and all(isinstance(each, int | float) and math.isfinite(each) for each in value)
    )


def _refused(why: str) -> ModelkinError:
    return ModelkinError(f"the manifest's build {why}; it is damaged or made up, and nothing is built of it.")
