"""The models of a job: built only of what the user's own config says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelkin import seeds
from modelkin.errors import ModelkinError
from modelkin.study import untrusted


def load_configured_model(config: Mapping[str, Any], manifest: str | Path, device, resize: str | None = None):
    """The model of a manifest of the study that a config describes, frozen, in eval mode.

    The config is asked, not a rule's params: what it says of where a model is from changes no result.
    Arguments and result otherwise as of :func:`modelkin.networks.weights.load_model`. Raises ModelkinError
    if the config has no such model, or says that it is untrusted.
    """
    from modelkin.networks.weights import load_model

    return load_model(manifest, device, resize, entry=_trusted_entry(config, manifest))


def configured_untrained_weights(config: Mapping[str, Any], manifest: str | Path, seed: int):
    """The weights before any training of the network of a manifest, from a study's seed.

    As of :func:`modelkin.networks.weights.untrained_weights`; else as :func:`load_configured_model`.
    """
    from modelkin.networks.weights import untrained_weights

    own = seeds.derive_seed(seed, "untrained", Path(manifest).stem)
    return untrained_weights(manifest, own, entry=_trusted_entry(config, manifest))


def _trusted_entry(config: Mapping[str, Any], manifest: str | Path) -> Mapping[str, Any]:
    """The entry of the config for the model of a manifest; ModelkinError if nothing of it may be run."""
    name = Path(manifest).stem
    entry = next((each for each in config["models"] if each["name"] == name), None)
    if entry is None:
        raise ModelkinError(f"the config has no model '{name}', of which {manifest} is.")
    if entry.get("untrusted"):
        raise ModelkinError(f"model {untrusted.advice(name)}")
    return entry
