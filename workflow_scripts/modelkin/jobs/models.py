"""The models of a job: built only of what the user's own config says of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelkin.errors import ModelkinError
from modelkin.study import untrusted


def load_configured_model(config: Mapping[str, Any], manifest: str | Path, device, resize: str | None = None):
    """The model of a manifest of the study that a config describes, frozen, in eval mode.

    The config is asked, not a rule's params: what it says of where a model is from changes no result.
    Arguments and result otherwise as of :func:`modelkin.networks.weights.load_model`. Raises ModelkinError
    if the config has no such model, or says that it is untrusted.
    """
    from modelkin.networks.weights import load_model

    name = Path(manifest).stem
    entry = next((each for each in config["models"] if each["name"] == name), None)
    if entry is None:
        raise ModelkinError(f"the config has no model '{name}', of which {manifest} is.")
    if entry.get("untrusted"):
        raise ModelkinError(f"model {untrusted.advice(name)}")
    return load_model(manifest, device, resize, entry=entry)
